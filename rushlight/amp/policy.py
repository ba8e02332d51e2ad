"""Which ops autocast casts on the CPU, and to what: PyTorch's lists."""

POLICIES: dict[str, tuple[str, ...]] = {
    # to autocast's type: products, where a short type saves most
    "lower": (
        "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
        "conv_tbc", "bmm", "mm", "baddbmm", "addmm", "addbmm", "linalg_vecdot", "linear", "matmul",
        "prelu", "scaled_dot_product_attention", "lstm", "rnn_tanh", "rnn_relu", "rnn_tanh_cell", "rnn_relu_cell",
    ),
    # to float32: long sums, and what has no short form
    "float32": (
        "avg_pool3d", "max_pool3d", "adaptive_avg_pool3d", "adaptive_max_pool3d",
        "fractional_max_pool2d", "fractional_max_pool3d", "max_unpool2d", "max_unpool3d",
        "grid_sample", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "polar", "prod", "quantile",
        "nanquantile", "cdist", "trace", "view_as_complex", "stft", "cholesky", "cholesky_inverse",
        "cholesky_solve", "inverse", "lu_solve", "orgqr", "ormqr", "pinverse", "geqrf", "qr", "svd",
        "triangular_solve", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss",
        "cosine_embedding_loss", "nll_loss", "hinge_embedding_loss", "poisson_nll_loss",
        "smooth_l1_loss", "cross_entropy", "l1_loss", "huber_loss", "margin_ranking_loss",
        "soft_margin_loss", "triplet_margin_loss", "multi_margin_loss", "multilabel_margin_loss",
        "ctc_loss", "kl_div", "fft_fft", "fft_ifft", "fft_fft2", "fft_ifft2", "fft_fftn",
        "fft_ifftn", "fft_rfft", "fft_irfft", "fft_rfft2", "fft_irfft2", "fft_rfftn", "fft_irfftn",
        "fft_hfft", "fft_ihfft", "linalg_cond", "linalg_matrix_rank", "linalg_solve",
        "linalg_cholesky", "linalg_cholesky_ex", "linalg_svd", "linalg_svdvals", "linalg_eig",
        "linalg_eigh", "linalg_eigvals", "linalg_eigvalsh", "linalg_inv", "linalg_inv_ex",
        "linalg_householder_product", "linalg_tensorinv", "linalg_tensorsolve", "linalg_qr",
        "linalg_lstsq",
    ),
    # to the widest type among their inputs
    "widest": ("stack", "cat", "index_copy"),
}  # fmt: skip
