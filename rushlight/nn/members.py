"""A module's tables of parameters, buffers and submodules."""

from collections.abc import MutableMapping
from weakref import ref


class Members(dict):
    """Members of a module by name, each of which is also a plain attribute of the module.

    Finding a plain attribute takes a tenth of the time of `Module.__getattr__`. Where the class has an
    attribute of that name the class's wins, as it does in PyTorch.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner, members=()):
        self._owner = ref(owner)
        self.update(members)

    def __setitem__(self, name, value):
        dict.__setitem__(self, name, value)
        owner = self._owner()
        if owner is not None and owner._plain_members and not hasattr(type(owner), name):
            owner.__dict__[name] = value

    def __delitem__(self, name):
        dict.__delitem__(self, name)
        owner = self._owner()
        if owner is not None:
            owner.__dict__.pop(name, None)

    def __ior__(self, members):
        self.update(members)
        return self

    def __reduce__(self):
        return dict, (), None, None, iter(self.items())

    # dict's own versions of these would leave the attributes as they were.
    update, setdefault = MutableMapping.update, MutableMapping.setdefault

    def pop(self, name, *default):
        """Remove a member, and return it, or `default` where there is none."""
        if name not in self and default:
            return default[0]
        member = self[name]
        del self[name]
        return member

    def clear(self):
        """Remove all members."""
        for name in list(self):
            del self[name]

    def popitem(self):
        """Remove the newest member, and return its name and value."""
        name = next(reversed(self))
        return name, self.pop(name)
