"""`torch.ops.aten.add`, `torch.ops.aten.add.Tensor`: the ops under the names that PyTorch's dispatcher has for them."""

from rushlight.ops.registry import OPS


class _Overload:
    """One form of an op, such as `aten.add.Tensor`: here the op itself."""

    def __init__(self, packet: "_Packet", name: str):
        self._packet, self._name = packet, name

    def __call__(self, *args, **kwargs):
        return self._packet(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<OpOverload(op='{self._packet}', overload='{self._name}')>"


class _Packet:
    """An op with all its forms."""

    def __init__(self, name: str):
        self._name = name

    def __call__(self, *args, **kwargs):
        if self._name not in OPS:
            raise NotImplementedError(
                f"torch.ops.{self}: there is no such op; use torch.{self._name} or a layer"
            )
        return OPS[self._name].function(*args, **kwargs)

    def __getattr__(self, name: str) -> _Overload:
        if name.startswith("__"):
            raise AttributeError(name)
        overload = self.__dict__[name] = _Overload(self, name)
        return overload

    def __str__(self) -> str:
        return f"aten.{self._name}"


class _Namespace:
    def __getattr__(self, name: str) -> _Packet:
        if name.startswith("__"):
            raise AttributeError(name)
        packet = self.__dict__[name] = _Packet(name)
        return packet


aten = _Namespace()
