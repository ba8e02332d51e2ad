"""The named tuples that ops with several results return, such as `torch.return_types.max`."""


class _Fields(tuple):
    """A tuple whose items have names."""

    __slots__ = ()
    _names: tuple = ()
    __match_args__: tuple = ()

    def __repr__(self) -> str:
        items = ",\n".join(f"{name}={value!r}" for name, value in zip(self._names, self, strict=True))
        return f"torch.return_types.{type(self).__name__}(\n{items})"

    def __reduce__(self):
        return type(self), (tuple(self),)


def _item(index: int):
    return property(lambda self: self[index])


def _named(name: str, *names: str) -> type:
    """A tuple type with these field names, made from a sequence of as many values."""

    def new(cls, values, dict=None):  # a pickle of PyTorch's gives the fields beyond the sequence: none
        made = tuple.__new__(cls, values)
        if len(made) != len(names):
            raise TypeError(
                f"torch.return_types.{name}() takes a {len(names)}-sequence ({len(made)}-sequence given)"
            )
        return made

    fields = {field: _item(i) for i, field in enumerate(names)}
    doc = f"The result of `torch.{name}`: a tuple ({', '.join(names)})."
    counts = {"n_fields": len(names), "n_sequence_fields": len(names), "n_unnamed_fields": 0}
    about = {"__slots__": (), "__doc__": doc, "__module__": "rushlight.return_types", "__match_args__": names}
    return type(name, (_Fields,), {**about, **counts, **fields, "__new__": new, "_names": names})


max = _named("max", "values", "indices")
min = _named("min", "values", "indices")
median = _named("median", "values", "indices")
nanmedian = _named("nanmedian", "values", "indices")
mode = _named("mode", "values", "indices")
sort = _named("sort", "values", "indices")
topk = _named("topk", "values", "indices")
kthvalue = _named("kthvalue", "values", "indices")
cummax = _named("cummax", "values", "indices")
cummin = _named("cummin", "values", "indices")
aminmax = _named("aminmax", "min", "max")
frexp = _named("frexp", "mantissa", "exponent")
histogram = _named("histogram", "hist", "bin_edges")
geqrf = _named("geqrf", "a", "tau")
linalg_cholesky_ex = _named("linalg_cholesky_ex", "L", "info")
linalg_eig = _named("linalg_eig", "eigenvalues", "eigenvectors")
linalg_eigh = _named("linalg_eigh", "eigenvalues", "eigenvectors")
linalg_inv_ex = _named("linalg_inv_ex", "inverse", "info")
linalg_ldl_factor = _named("linalg_ldl_factor", "LD", "pivots")
linalg_ldl_factor_ex = _named("linalg_ldl_factor_ex", "LD", "pivots", "info")
linalg_lstsq = _named("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
linalg_lu = _named("linalg_lu", "P", "L", "U")
linalg_lu_factor = _named("linalg_lu_factor", "LU", "pivots")
linalg_lu_factor_ex = _named("linalg_lu_factor_ex", "LU", "pivots", "info")
linalg_qr = _named("linalg_qr", "Q", "R")
linalg_slogdet = _named("linalg_slogdet", "sign", "logabsdet")
linalg_solve_ex = _named("linalg_solve_ex", "result", "info")
linalg_svd = _named("linalg_svd", "U", "S", "Vh")
_lu_with_info = _named("_lu_with_info", "LU", "pivots", "info")
lu_unpack = _named("lu_unpack", "P", "L", "U")
qr = _named("qr", "Q", "R")
slogdet = _named("slogdet", "sign", "logabsdet")
svd = _named("svd", "U", "S", "V")
triangular_solve = _named("triangular_solve", "solution", "cloned_coefficient")

__all__ = [
    "aminmax",
    "cummax",
    "cummin",
    "frexp",
    "geqrf",
    "histogram",
    "kthvalue",
    "linalg_cholesky_ex",
    "linalg_eig",
    "linalg_eigh",
    "linalg_inv_ex",
    "linalg_ldl_factor",
    "linalg_ldl_factor_ex",
    "linalg_lstsq",
    "linalg_lu",
    "linalg_lu_factor",
    "linalg_lu_factor_ex",
    "linalg_qr",
    "linalg_slogdet",
    "linalg_solve_ex",
    "linalg_svd",
    "lu_unpack",
    "max",
    "median",
    "min",
    "mode",
    "nanmedian",
    "qr",
    "slogdet",
    "sort",
    "svd",
    "topk",
    "triangular_solve",
]
