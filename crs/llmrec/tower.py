"""LLM-Rec's recommender: an MLP over an item's content rows, a table of users, their dot product.

Trained with binary cross-entropy and AdamW. Every unseen item is a negative in every step, weighted so that
together they weigh ``n_negatives`` per positive: what sampling negatives uniformly is on average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crs.llmrec.metrics import ranking_metrics, top_items

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from torch import Tensor
    from torch.nn import Embedding, Module


@dataclass(frozen=True, slots=True)
class TowerPlan:
    """Sizes and training of a tower; the same for every input that is compared."""

    n_hidden: int = 128
    n_factors: int = 64  # of an item's and a user's vector
    dropout: float = 0.2  # of the hidden layer
    n_negatives: float = 1.0  # weight of all unseen items together, per positive
    learning_rate: float = 4e-3  # of the item tower
    user_learning_rate: float = 2e-2
    weight_decay: float = 1e-2
    users_a_step: int = 256
    n_epochs: int = 16  # the learning rates fall to nothing over them
    epochs_a_look: int = 4  # how often the validation part is ranked


@dataclass(frozen=True, slots=True)
class Tower:
    """What was learned: ``user_vectors`` (n_users, f), ``item_vectors`` (n_items, f), float32.

    Their dot product is the logit of a user taking an item. ``epochs``: after so many validation was best.
    """

    user_vectors: np.ndarray
    item_vectors: np.ndarray
    epochs: int
    valid_ndcg: float


def train_tower(
    rows: np.ndarray,
    train: csr_matrix,
    valid: csr_matrix,
    plan: TowerPlan,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Tower:
    """Fit a tower to ``rows`` (n_items, d) and ``train`` (n_users, n_items), values 1 where taken.

    The epoch of the best NDCG@10 on ``valid`` (n_users, n_items) is kept; training goes on to the end, for
    texts differ in how soon they are learned. Same input and seed, same tower. ``progress(epoch,
    plan.n_epochs)`` is called after each epoch.
    """
    import torch

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    n_users, n_items = train.shape
    # Unit rows have much in common and tiny entries; an MLP wants them centred, of about unit variance.
    centred = rows - rows.mean(axis=0)
    content = torch.from_numpy(np.float32(centred / max(float(centred.std()), 1e-9)))
    items, users = _layers(rows.shape[1], n_users, plan)
    # A user is met once an epoch, the item tower in every step.
    groups = [
        {"params": items.parameters(), "lr": plan.learning_rate},
        {"params": users.parameters(), "lr": plan.user_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=plan.weight_decay)
    n_steps = plan.n_epochs * -(-n_users // plan.users_a_step)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - step / n_steps)
    n_taken = np.diff(train.indptr)
    unseen_weight = plan.n_negatives * n_taken / np.maximum(n_items - n_taken, 1)

    def look(epochs: int) -> Tower:
        items.eval()
        with torch.no_grad():
            vectors = items(content).numpy()
        items.train()
        user_vectors = users.weight.detach().numpy().copy()
        top = top_items(user_vectors, vectors, hidden=train)
        return Tower(user_vectors, vectors, epochs, ranking_metrics(top, valid)["ndcg@10"])

    best = None
    for epoch in range(1, plan.n_epochs + 1):
        order = rng.permutation(n_users)
        for start in range(0, n_users, plan.users_a_step):
            chosen = order[start : start + plan.users_a_step]
            taken = torch.from_numpy(train[chosen].toarray().astype(np.float32))  # (b, n_items)
            logits = users(torch.from_numpy(chosen)) @ items(content).T  # (b, n_items)
            loss = _loss(logits, taken, torch.from_numpy(unseen_weight[chosen].astype(np.float32)))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        if progress:
            progress(epoch, plan.n_epochs)
        if epoch % plan.epochs_a_look == 0 or epoch == plan.n_epochs:
            seen = look(epoch)
            if best is None or seen.valid_ndcg > best.valid_ndcg:
                best = seen
    assert best is not None
    return best


def _layers(n_columns: int, n_users: int, plan: TowerPlan) -> tuple[Module, Embedding]:
    """The item tower, (n, n_columns) -> (n, f), and the table of users (n_users, f)."""
    import torch

    items = torch.nn.Sequential(
        torch.nn.Linear(n_columns, plan.n_hidden),
        torch.nn.ReLU(),
        torch.nn.Dropout(plan.dropout),
        torch.nn.Linear(plan.n_hidden, plan.n_factors),
    )
    users = torch.nn.Embedding(n_users, plan.n_factors)
    torch.nn.init.normal_(users.weight, std=0.1)
    with torch.no_grad():
        users.weight[:, 0] = 1.0  # so that the items' first factor can tell at once how many take them
    return items, users


def _loss(logits: Tensor, taken: Tensor, unseen_weight: Tensor) -> Tensor:
    """Cross-entropy of ``logits`` (b, n_items) against ``taken``; an unseen item weighs a user's (b,)."""
    import torch

    weight = torch.where(taken > 0, 1.0, unseen_weight[:, None])
    summed = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, taken, weight=weight, reduction="sum"
    )
    return summed / weight.sum()
