"""A Transformer that predicts the next word, and WikiText2, for the examples of Lightning."""

import math
from pathlib import Path
from urllib.request import urlretrieve

import rushlight as torch
from rushlight import nn
from rushlight.lightning.core.module import LightningModule
from rushlight.nn import functional as F
from rushlight.utils.data import DataLoader, Dataset

__all__ = ["Dictionary", "LightningTransformer", "PositionalEncoding", "Transformer", "WikiText2", "tokenize"]

_URL = "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2/train.txt"


class Transformer(nn.Module):
    """Words to log-probabilities of the words that follow (Vaswani et al. 2017).

    Args:
        vocab_size: how many words. ninp: width. nhead: heads. nhid: width of the feed-forward layers.
        nlayers: layers of the encoder, and of the decoder. dropout: between them.

    >>> import rushlight as torch
    >>> words = torch.zeros(2, 5, dtype=torch.long)
    >>> Transformer(vocab_size=7, ninp=8, nhid=8)(words, words).shape
    torch.Size([10, 7])
    """

    def __init__(
        self, vocab_size: int = 33278, ninp: int = 200, nhead: int = 2, nhid: int = 200, nlayers: int = 2,
        dropout: float = 0.2,
    ):  # fmt: skip
        super().__init__()
        self.pos_encoder = PositionalEncoding(ninp, dropout)
        self.embedding = nn.Embedding(vocab_size, ninp)
        self.transformer = nn.Transformer(
            d_model=ninp, nhead=nhead, num_encoder_layers=nlayers, num_decoder_layers=nlayers, dim_feedforward=nhid,
            dropout=dropout, batch_first=True,
        )  # fmt: skip
        self.decoder = nn.Linear(ninp, vocab_size)
        self.ninp, self.vocab_size = ninp, vocab_size
        self.src_mask = None

    def generate_square_subsequent_mask(self, size: int):
        """(size, size): -infinity above the diagonal, so that no position sees later ones."""
        return torch.full((size, size), -math.inf).triu(diagonal=1)

    def forward(self, inputs, target, mask=None):
        """From (N, T) and (N, T) to (N * T, vocab_size)."""
        length = inputs.shape[1]
        if self.src_mask is None or self.src_mask.size(0) != length:
            self.src_mask = self.generate_square_subsequent_mask(length)
        mask = self.generate_square_subsequent_mask(length) if mask is None else mask
        source = self.pos_encoder(self.embedding(inputs) * math.sqrt(self.ninp))
        target = self.pos_encoder(self.embedding(target) * math.sqrt(self.ninp))
        output = self.decoder(self.transformer(source, target, tgt_mask=mask))
        return F.log_softmax(output, dim=-1).view(-1, self.vocab_size)


class PositionalEncoding(nn.Module):
    """Sines and cosines added to (N, T, dim), then dropout.

    Lightning's takes those of position T for all positions; so does this one, for the same numbers.

    Args:
        dim: width. dropout: how much. max_len: the longest sequence.
    """

    def __init__(self, dim: int, dropout: float = 0.1, max_len: int = 5000):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        self.dim, self.max_len = dim, max_len
        self.pe = None

    def forward(self, x):
        """The sum, with dropout."""
        if self.pe is None:
            self.pe = self._encoding()
        return self.dropout(x + self.pe[:, x.size(1)])

    def _encoding(self):
        position = torch.arange(0, self.max_len, dtype=torch.float).unsqueeze(1)
        angles = position * torch.exp(torch.arange(0, self.dim, 2).float() * (-math.log(10000.0) / self.dim))
        encoding = torch.zeros(self.max_len, self.dim)
        encoding[:, 0::2], encoding[:, 1::2] = torch.sin(angles), torch.cos(angles)
        return encoding.unsqueeze(0)


class WikiText2(Dataset):
    """Rows of words, and the same one word on.

    Args:
        data_dir: the folder with `wikitext-2.txt`. block_size: words in a row. download: fetch the file if need be.
    """

    def __init__(self, data_dir: Path = Path("./data"), block_size: int = 35, download: bool = True):
        self.path = Path(data_dir) / "wikitext-2.txt"
        if download:
            self.download(self.path)
        self.data, self.dictionary = tokenize(self.path)
        self.block_size = block_size

    vocab_size = property(lambda self: len(self.dictionary), doc="How many different words.")

    def __len__(self) -> int:
        return len(self.data) // self.block_size - 1

    def __getitem__(self, index: int):
        start, end = index * self.block_size, (index + 1) * self.block_size
        return self.data[start:end], self.data[start + 1 : end + 1]

    @staticmethod
    def download(destination: Path) -> None:
        """Fetch the file, unless it is there."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        if not destination.exists():
            urlretrieve(_URL, destination)


class Dictionary:
    """Words and their numbers, in the order in which they came."""

    def __init__(self):
        self.word2idx: dict[str, int] = {}
        self.idx2word: list[str] = []

    def add_word(self, word: str) -> int:
        """The number of a word, a new one if need be."""
        if word not in self.word2idx:
            self.word2idx[word] = len(self.idx2word)
            self.idx2word.append(word)
        return self.word2idx[word]

    def __len__(self) -> int:
        return len(self.idx2word)


def tokenize(path: Path):
    """The words of a text file as numbers, lines ended by "<eos>".

    Returns:
        (numbers, dictionary).
    """
    dictionary = Dictionary()
    with open(path, encoding="utf8") as file:
        numbers = [dictionary.add_word(word) for line in file for word in [*line.split(), "<eos>"]]
    return torch.tensor(numbers), dictionary


class LightningTransformer(LightningModule):
    """The Transformer on WikiText2.

    Args:
        vocab_size: how many words.
    """

    def __init__(self, vocab_size: int = 33278):
        super().__init__()
        self.model = Transformer(vocab_size=vocab_size)

    def forward(self, inputs, target):
        """The Transformer."""
        return self.model(inputs, target)

    def training_step(self, batch, batch_idx):
        """Negative log-likelihood of the words that follow."""
        inputs, target = batch
        return F.nll_loss(self(inputs, target), target.view(-1))

    def configure_optimizers(self):
        """Gradient descent."""
        return torch.optim.SGD(self.model.parameters(), lr=0.1)

    def prepare_data(self) -> None:
        """Fetch the text."""
        WikiText2(download=True)

    def train_dataloader(self):
        """WikiText2, in order."""
        return DataLoader(WikiText2())
