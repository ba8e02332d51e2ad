"""Recording a function once and running it again without Python's tape: what is behind `torch.compile`.

The first call of a function runs eagerly, the second one is recorded, the third one runs both ways from the same state
and compares bits; from then on it is replayed for as long as its guards hold. Whatever can't be recorded runs eagerly,
and `report` says why.
"""

from rushlight import kernels as K

NATIVE = K.NAME == "native"
