"""How much a process has computed, in seconds that mean the same on every machine and beside any neighbour.

CPU time does not run while a process waits for others that share its cores; a fixed piece of work says
how fast this machine is. So the minutes of a lesson are a property of the lesson.
"""

import time
from contextlib import suppress
from functools import lru_cache

import psutil

# CPU seconds of `_work` on the machine that the stated minutes come from. That machine is gone, so the
# number is inferred: where `_work` took 0.078 s, ten lessons took 1.8 times their stated minutes.
REFERENCE = 0.043
REPEATS = 3
LASTS = 10.0  # seconds for which a measured speed holds


def speed() -> float:
    """The speed of one core here and now, relative to the machine that the stated minutes come from.

    It changes while a lesson runs: whoever shares a core's caches and units makes each CPU second worth
    less. So it is measured anew every ten seconds.
    """
    return _measured(int(time.monotonic() / LASTS))


@lru_cache(maxsize=1)
def _measured(period: int) -> float:
    """The quickest of a few repeats counts: the others were still warming up."""
    return REFERENCE / min(_timed() for _ in range(REPEATS))


def _timed() -> float:
    start = time.process_time()
    _work()
    return time.process_time() - start


def _work() -> None:
    """What lessons do most: many small steps of training in PyTorch, and loops in Python."""
    import torch  # takes seconds, and most tests do without

    generator = torch.Generator().manual_seed(0)
    x, first, second = (
        torch.randn(*shape, generator=generator) for shape in ((128, 64), (64, 128), (128, 64))
    )
    for _ in range(150):
        first, second = (w.detach().requires_grad_() for w in (first, second))
        loss = (torch.relu(x @ first) @ second - x).pow(2).mean()
        steps = torch.autograd.grad(loss, (first, second))
        first, second = (w - 1e-4 * step for w, step in zip((first, second), steps, strict=True))
    sum(number % 7 for number in range(200_000))


class Clock:
    """The seconds that a process and its descendants have computed, at the reference's speed."""

    def __init__(self, pid: int):
        self.process = psutil.Process(pid)
        self.counted = 0.0  # CPU seconds here
        self.latest = 0.0  # what they were worth, each at the speed of its time

    def read(self) -> float:
        """The seconds since the process began; of one that has ended, the last that were read."""
        with suppress(psutil.Error):
            total = _seconds(self.process)
            for child in self.process.children(recursive=True):
                with suppress(psutil.Error):  # ended in the meantime: its parent counts it
                    total += _seconds(child)
            if total > self.counted:
                self.latest += (total - self.counted) * speed()
                self.counted = total
        return self.latest


def _seconds(process: psutil.Process) -> float:
    """CPU seconds of a process and of its children that have ended."""
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system
