"""The demo store, generated from the word lists in ``assets/words``."""

from knowledge.demo.write import write_demo_store

__all__ = ["write_demo_store"]
