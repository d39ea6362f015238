"""Money in sentences."""

from __future__ import annotations


def dollars(price: float) -> str:
    """US dollars as a sentence says them: "$12", "$12.49", "$1,250"."""
    return f"${price:,.0f}" if price == int(price) else f"${price:,.2f}"
