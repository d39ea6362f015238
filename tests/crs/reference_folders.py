"""Small data sets in the public layouts that have reference texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TOPICS = ("tea", "climbing", "gardens")
N_USERS = 12


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_explained(folder: Path, *, n_users: int = N_USERS) -> Path:
    """Two explanations a user; item 10 * t + k is about topic t, and items from 100 on have no text."""
    narratives, pairs = [], []
    for user in range(n_users):
        topic = user % len(TOPICS)
        for k in (0, 1 + user % 2):
            narratives.append(
                {
                    "uid": user,
                    "iid": 10 * topic + k,
                    "title": f"Book {k} of {TOPICS[topic]}",
                    "user_summary": f"Reads about {TOPICS[topic]} every week.",
                    "item_summary": f"Fans of {TOPICS[topic]} enjoy it.",
                    "explanation": f"The user would buy it because they enjoy {TOPICS[topic]}.",
                }
            )
        pairs += [{"user": user, "item": 10 * topic + k} for k in range(3)]
        pairs += [{"user": user, "item": 100 + topic}, {"user": user, "item": 100 + (user + 1) % 3}]
    write(folder / "narratives.parquet", narratives)
    write(folder / "pairs.parquet", pairs)
    return folder


def write_profiled(folder: Path, *, n_users: int = N_USERS) -> Path:
    """One profile a user, told from four ratings of things of their topic."""
    items = [
        {
            "item_id": 10 * topic + k,
            "title": f"Thing {k} for {name}",
            "description": f"Good for {name}.",
            "brand": "None" if k else "Acme",
            "price": "None" if k else "$12.50",
        }
        for topic, name in enumerate(TOPICS)
        for k in range(4)
    ]
    ratings = [
        {
            "user": user,
            "item": 10 * (user % 3) + k,
            "rating": float(2 + (user + k) % 4),
            "timestamp": 1_500_000_000 + k,
        }
        for user in range(n_users)
        for k in range(4)
    ]
    summaries = [
        {
            "user_id": user,
            "user_summary_long": f"The user likes {TOPICS[user % 3]}. They know what they want.",
        }
        for user in range(n_users)
    ]
    write(folder / "items.parquet", items)
    write(folder / "ratings.parquet", ratings)
    write(folder / "user_summaries.parquet", summaries)
    return folder
