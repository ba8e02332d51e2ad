"""An LSTM that predicts the next word, for the examples of Lightning."""

import rushlight as torch
from rushlight import nn
from rushlight.lightning.core.module import LightningModule
from rushlight.lightning.demos.transformer import WikiText2
from rushlight.nn import functional as F
from rushlight.utils.data import DataLoader, Sampler

__all__ = ["LightningLSTM", "SequenceSampler", "SimpleLSTM"]


class SimpleLSTM(nn.Module):
    """Words to log-probabilities of the words that follow.

    Args:
        vocab_size: how many words. ninp: width of the embedding. nhid: of the LSTM. nlayers: its layers.
        dropout: between them.
    """

    def __init__(
        self, vocab_size: int = 33278, ninp: int = 512, nhid: int = 512, nlayers: int = 4, dropout: float = 0.2
    ):  # fmt: skip
        super().__init__()
        self.vocab_size = vocab_size
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(vocab_size, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=dropout, batch_first=True)
        self.decoder = nn.Linear(nhid, vocab_size)
        self.nlayers, self.nhid = nlayers, nhid
        self.init_weights()

    def init_weights(self) -> None:
        """Small uniform weights."""
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, input, hidden):
        """From (N, T) to (N * T, vocab_size), and the state."""
        output, hidden = self.rnn(self.drop(self.encoder(input)), hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.vocab_size)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, batch_size: int):
        """Zeros: (layers, N, nhid) twice."""
        weight = next(self.parameters())
        shape = self.nlayers, batch_size, self.nhid
        return weight.new_zeros(shape), weight.new_zeros(shape)


class SequenceSampler(Sampler):
    """Batches whose rows go on where those of the batch before ended.

    Args:
        dataset: rows in order. batch_size: rows in a batch.
    """

    def __init__(self, dataset, batch_size: int):
        super().__init__()
        self.dataset, self.batch_size = dataset, batch_size
        self.chunk_size = len(dataset) // batch_size

    def __iter__(self):
        end = len(self.dataset) - len(self.dataset) % self.batch_size
        return (list(range(i, end, self.chunk_size)) for i in range(self.chunk_size))

    def __len__(self) -> int:
        return self.chunk_size


class LightningLSTM(LightningModule):
    """The LSTM on WikiText2; its state goes on from batch to batch.

    Args:
        vocab_size: how many words.
    """

    def __init__(self, vocab_size: int = 33278):
        super().__init__()
        self.model = SimpleLSTM(vocab_size=vocab_size)
        self.hidden = None

    def on_train_epoch_end(self) -> None:
        """The next epoch begins anew."""
        self.hidden = None

    def training_step(self, batch, batch_idx):
        """Negative log-likelihood of the words that follow."""
        input, target = batch
        hidden = self.model.init_hidden(input.size(0)) if self.hidden is None else self.hidden
        output, self.hidden = self.model(input, (hidden[0].detach(), hidden[1].detach()))
        loss = F.nll_loss(output, target.view(-1))
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def prepare_data(self) -> None:
        """Fetch the text."""
        WikiText2(download=True)

    def train_dataloader(self):
        """WikiText2 in 20 rows."""
        dataset = WikiText2()
        return DataLoader(dataset, batch_sampler=SequenceSampler(dataset, batch_size=20))

    def configure_optimizers(self):
        """Gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=20.0)
