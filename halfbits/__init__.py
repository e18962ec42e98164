"""Half the Bits: the library that the course's notebooks import, as ``import halfbits as hb``.

``__init__.pyi`` says where each name comes from: its module is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
