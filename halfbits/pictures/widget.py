"""What the course's widgets share: a text to read where no widget can be shown."""

from __future__ import annotations

import anywidget


class TextWidget(anywidget.AnyWidget):
    """A widget whose plain text, for GitHub, print and feedback pages, is its ``str``."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **kwargs: dict) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/plain": str(self)}, metadata
