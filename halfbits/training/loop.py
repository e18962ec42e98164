"""The loop behind :func:`halfbits.training.fit`: steps, looks at the loss, tests, checkpoints."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from halfbits.precision import Plan
from halfbits.training import checkpoint
from halfbits.training.measure import ALLOCATED, COUNTED, Clock, inspected, peak, reset_peak
from halfbits.training.run import Run
from halfbits.training.steps import accuracy
from halfbits.training.trouble import Divergence, Interrupts, Loss, locate

Batch = tuple[torch.Tensor, ...]


@dataclass
class Loop:
    """A training run under way; the fields are the arguments of :func:`halfbits.training.fit`."""

    plan: Plan
    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    run: Run
    test: Batch | None
    test_every: int | None
    clip: float | None
    compiled: Callable[..., torch.Tensor] | None
    watch: int
    stop_if_diverged: bool
    seed: int
    path: Path | None
    path_every: int | None
    # Still on the device, so that nothing has to wait for them.
    _losses: list[torch.Tensor] = field(default_factory=list)
    _scales: list[torch.Tensor] = field(default_factory=list)

    def train(
        self, batches: Iterable[Batch], steps: int | None, resume: bool | None, progress: bool
    ) -> None:
        """Train to the end of the batches, to the last step, to a divergence or to Ctrl+C."""
        source = iter(batches)
        self._clock = Clock(self.plan.device)
        self._one = torch.ones((), device=self.plan.device)
        self._resume(source, resume)
        self._taken = self._start = self.run.steps
        left = None if steps is None else max(steps - self._start, 0)
        total = (
            steps if steps is not None else len(batches) if hasattr(batches, "__len__") else None
        )
        reset_peak(self.plan.device)
        self.model.train()
        with Interrupts() as interrupts:
            with tqdm(
                total=total, initial=self._start, disable=not progress, leave=False, unit="step"
            ) as bar:
                self._whole = True
                try:
                    for batch in islice(source, 0 if self._ended else left):
                        self._whole = False
                        self._step(batch if isinstance(batch, tuple | list) else (batch,), bar)
                        self._whole = True
                        if self._ended or interrupts.asked:
                            break
                        self._now_and_then()
                except KeyboardInterrupt:
                    interrupts.asked = True
            self.run.interrupted = interrupts.asked
            self._finish()
        if not self.run.steps and not self.run.interrupted:
            raise ValueError("there are no batches to train on")

    @property
    def _ended(self) -> bool:
        """Whether a divergence ends the run."""
        return bool(self.run.diverged) and self.stop_if_diverged and self.scaler is None

    def _step(self, batch: Batch, bar: tqdm) -> None:
        looks = self._taken % self.watch == 0
        random = checkpoint.random_state() if looks else None
        timed = self._taken - self._start >= self.run.warmup
        before = self.run.diverged
        first = self._taken == 0
        loss_of = self.loss if first else self.compiled or self.loss
        if first:
            self.run.batch = batch[0].numel() if self.run.unit == "tokens" else len(batch[0])
        found: dict[str, Any] = {}
        with self._clock if timed else nullcontext():
            if first:
                with inspected(self.model, self.optimizer, self.plan.device) as found:
                    loss = self._learn(batch, loss_of, random)
            else:
                loss = self._learn(batch, loss_of, random)
        if first:
            searched = self.run.diverged is not None  # the search's operations were counted, too
            self.run.flops = None if searched else found["flops"]
            self.run.peak_bytes = found.get("peak_bytes")
            self.run.peak_kind = ALLOCATED if self.plan.device.type == "cuda" else COUNTED
        if self.compiled and self._taken == self.run.warmup - 1:
            reset_peak(self.plan.device)  # the first step ran uncompiled
        if timed and self.run.diverged is not before:
            self._clock.forget()  # it includes the search for the cause
        self._losses.append(loss)
        self._last = batch
        self._taken += 1
        if looks:
            bar.set_postfix_str(f"loss {loss.item():.3g}", refresh=False)
        bar.update()

    def _learn(self, batch: Batch, loss_of: Loss, random: dict[str, Any] | None) -> torch.Tensor:
        """Take the step that one writes by hand; a divergence that ends the run comes before."""
        moved = tuple(map(self.plan.move, batch))
        with self.plan.autocast():
            loss = loss_of(self.model, *moved)
        if random and not self.run.diverged and not loss.isfinite().item():
            self._diverge(moved, random)
            if self._ended:
                return loss.detach()
        self.optimizer.zero_grad()  # not earlier: a divergence looks at the last step's gradients
        if self.scaler is None:
            loss.backward()
            self._clip()
            self.optimizer.step()
        else:
            self._scales.append(self.scaler.scale(self._one))
            self.scaler.scale(loss).backward()
            if self.clip:
                self.scaler.unscale_(self.optimizer)
            self._clip()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss.detach()

    def _clip(self) -> None:
        if self.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)

    def _diverge(self, batch: Batch, random: dict[str, Any]) -> None:
        self._collect()
        if self.run.diverged:  # at a step at which nobody looked
            return
        after = checkpoint.random_state()
        checkpoint.set_random_state(random)
        self.run.diverged = locate(self.model, self.loss, batch, self.plan, self._taken)
        checkpoint.set_random_state(after)

    def _collect(self) -> None:
        """Move what is on the device into the record."""
        run = self.run
        if self._losses:
            run.losses += torch.stack(self._losses).tolist()
        if self._scales:
            run.scales = run.scales[: run.steps - len(self._losses)]
            run.scales += [*torch.stack(self._scales).tolist(), self.scaler.get_scale()]
        run.step_ms += self._clock.take()
        run.peak_bytes = peak(self.plan.device, run.peak_bytes)
        self._losses, self._scales = [], []
        bad = [i for i, loss in enumerate(run.losses) if not abs(loss) < float("inf")]
        if bad and not run.diverged:
            run.diverged = Divergence(bad[0], "unknown")

    def _now_and_then(self) -> None:
        if self.test_every and self._taken % self.test_every == 0:
            self._test()
        if self.path and self.path_every and self._taken % self.path_every == 0:
            self._save()

    def _finish(self) -> None:
        self._collect()
        if self.run.steps and self.test:
            self._test()
        if self.run.steps and self.path and self._whole:
            self._save()

    def _test(self) -> None:
        if self.test is None or (self.run.accuracies and self.run.accuracies[-1][0] == self._taken):
            return
        with self.plan.autocast():
            share = accuracy(self.model, *self.test)
        self.run.accuracies.append((self._taken, share))
        self.model.train()

    def _save(self) -> None:
        self._collect()
        if self._taken > self._start:
            self._print = checkpoint.fingerprint(self._last)
        checkpoint.save(
            self.path, self.model, self.optimizer, self.scaler, self.run, self.seed, self._print
        )

    def _resume(self, source: Iterator[Batch], resume: bool | None) -> None:
        if self.path is None or resume is False or (resume is None and not self.path.exists()):
            return
        content = checkpoint.load(self.path, self.run.precision, self.seed)
        before = checkpoint.restore(content, self.model, self.optimizer, self.scaler)
        before.resumed_at, before.interrupted, before.hint = before.steps, False, self.run.hint
        last = deque(islice(source, before.steps), maxlen=1)
        self._print = checkpoint.fingerprint(last[0] if last else ())
        if self._print != content["last batch"]:
            raise checkpoint.CheckpointError(
                f"{self.path} was trained on other batches: give the same ones, or resume=False"
            )
        checkpoint.set_random_state(content["random"])
        self.run = before
