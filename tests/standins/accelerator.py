"""A stand-in for a GPU: a PyTorch device whose tensors lie in the CPU's memory.

Code that would fail on a GPU because devices or generators are mixed, or because NumPy is handed a
tensor that is not on the CPU, fails here with much the same words; code that works there works here.

    from standins.accelerator import install    # with `tests` on the path, as pytest has it

    device = install()                          # torch.device("standin")
    torch.set_default_device(device)            # or .to(device), as with any other

Installing cannot be undone: do it in a process of its own. An error during `backward` is raised as
ever, but its traceback is printed besides.

What it cannot show is a GPU's speed, memory, precision and random numbers: every operation is the
CPU's, and draws come from the CPU's own generator, so that the same seed gives the same numbers on
both. `torch.cuda.is_available()` stays false. What works on a GPU but not here: a `torch.Generator`
of the device, recurrent layers (`nn.GRU`, `nn.LSTM`), and streams.
"""

import ctypes
import sys
from collections import OrderedDict

import torch
from torch.utils import backend_registration

NAME = "standin"
# What a GPU lets tensors of the CPU take part in: positions for indexing, and single numbers, in
# these and in the pointwise operations.
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
FILLING = {"aten::fill_", "aten::masked_fill", "aten::masked_fill_", "aten::index_fill_"}


class Tensor(torch.Tensor):
    """On the outside a tensor on the stand-in, without memory; its `raw` is one on the CPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw):
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(NAME, 0),
        )
        wrapper.raw = raw
        return wrapper

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        return perform(op, *args, **(kwargs or {}))

    @property
    def data(self):
        return torch.Tensor.data.__get__(self)

    @data.setter
    def data(self, other):
        torch.Tensor.data.__set__(self, other)
        self.raw = other.raw

    def tolist(self):
        return self.detach().cpu().tolist()

    def __format__(self, spec):
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    def numpy(self, *, force=False):
        if force:
            return self.detach().cpu().numpy()
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. "
            "Use Tensor.cpu() to copy the tensor to host memory first."
        )

    def __reduce_ex__(self, protocol):
        """Saved with the place to which it returns, as a GPU's is; `map_location` may change it."""
        if isinstance(self, torch.nn.Parameter):
            values = self.detach(), self.requires_grad, OrderedDict()
            return torch._utils._rebuild_parameter, values
        values = self.detach().cpu(), self.dtype, str(self.device), self.requires_grad
        return torch._utils._rebuild_device_tensor_from_cpu_tensor, values

    # With these two, `Module.to` keeps its parameters' identity.
    def __tensor_flatten__(self):
        return ["raw"], None

    @classmethod
    def __tensor_unflatten__(cls, inner, *rest):
        return cls(inner["raw"])


def deep(change, value):
    """`change(value)`, or where `value` is a list or a tuple, the same of what is in it."""
    if isinstance(value, list | tuple):
        return type(value)(deep(change, each) for each in value)
    return change(value)


def perform(op, *args, **kwargs):
    """Check where the arguments are, let the CPU work on them, and put the results back."""
    outside, ours, cpu = {}, [], []  # `outside`: what stands for a tensor of the CPU, by its id

    def unwrap(value):
        if isinstance(value, Tensor):
            ours.append(value)
            outside[id(value.raw)] = value
            return value.raw
        if isinstance(value, torch.Tensor):
            cpu.append(value)
            outside[id(value)] = value
        elif isinstance(value, torch.Generator):
            raise RuntimeError(
                f"Expected a '{NAME}' device type for generator but found '{value.device}'"
            )
        return value

    def wrap(value):
        if isinstance(value, torch.Tensor):
            known = outside.get(id(value))
            return Tensor(value) if known is None else known
        return value

    raw_args = [deep(unwrap, value) for value in args]
    raw_kwargs = {name: deep(unwrap, value) for name, value in kwargs.items()}
    if cpu and ours:
        check(op, args, cpu)
    device = kwargs.get("device")
    if device is not None:
        raw_kwargs["device"] = torch.device("cpu")
    result = op(*raw_args, **raw_kwargs)
    if op._schema.is_mutable:
        for each in ours:  # `squeeze_` and the like
            if each.shape != each.raw.shape or each.stride() != each.raw.stride():
                each.data = Tensor(each.raw)
    return result if device is not None and device.type != NAME else deep(wrap, result)


def check(op, args, cpu):
    """Raise unless a GPU would take these tensors of the CPU beside its own."""
    name = op._schema.name
    if name == "aten::copy_":
        return
    if name in INDEXING and isinstance(args[0], Tensor):
        positions = [id(index) for index in args[1]]
        cpu = [each for each in cpu if id(each) not in positions]
    numbers = torch.Tag.pointwise in op.tags or name in INDEXING | FILLING
    written = op._schema.is_mutable and not isinstance(args[0], Tensor | list | tuple)
    if written or any(each.dim() or not numbers for each in cpu):
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{NAME}:0 and cpu! (when checking the arguments of {op})"
        )


def copy_from(source, target, non_blocking=False):
    """What `torch.tensor` calls, past all else."""
    return perform(torch.ops.aten.copy_.default, target, source)


class Module(backend_registration._DummyBackendModule):
    """What PyTorch wants to find as `torch.standin`."""

    def get_amp_supported_dtype(self):
        return [torch.float16, torch.bfloat16]

    def get_rng_state(self, device=NAME):
        return torch.get_rng_state()

    def set_rng_state(self, state, device=NAME):
        torch.set_rng_state(state)


class Guard(torch._C._acc.DeviceGuard):
    """Says which device it guards, even on the way out of an error in `backward`.

    There, to call any function of Python would abort the process, as an error is under way already.
    So what is called is Python's own way to print an error and be rid of it.
    """

    __slots__ = ()
    type_ = ctypes.PYFUNCTYPE(None)(("PyErr_Print", ctypes.pythonapi))
    type_.errcheck = lambda *_: torch._C._autograd.DeviceType.PrivateUse1


def run_backward(*args, **kwargs):
    try:
        return engine(*args, **kwargs)
    except SystemError as error:  # there was another, and the guard has taken it away
        raise getattr(sys, "last_value", error) from None


engine = torch.autograd._engine_run_backward
libraries = []  # what is registered lasts as long as they do


def install() -> torch.device:
    """Make the device known to this process, unless it is already, and return it."""
    if not libraries:
        backend_registration._setup_privateuseone_for_python_backend(NAME, Module(), None, Guard())
        libraries.extend(torch.library.Library(space, "IMPL") for space in ("_", "aten"))
        # For what has no tensor among its arguments, such as `torch.empty`.
        libraries[0].fallback(perform, "PrivateUse1")
        libraries[1].impl("_copy_from", copy_from, "PrivateUse1")
        # Threads for a device are started at the first `backward`, which may have been before.
        torch.autograd.set_multithreading_enabled(False)
        torch.autograd._engine_run_backward = run_backward
    return torch.device(NAME)
