"""The look: paper and ink, one green for doing, one plum for footnotes. Sizes and layout are in style.css."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio.themes import Base

ASSETS_DIR = Path(__file__).resolve().parent.parent / "assets"
STYLE_PATH = ASSETS_DIR / "style.css"
SHARED_STYLE_PATH = ASSETS_DIR / "shared.css"
FAVICON_PATH = ASSETS_DIR / "icons" / "favicon.png"

# Fonts that come with the reader's system; nothing is fetched.
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")


def build_theme() -> Base:
    """A Gradio theme in the project's colours; every text pair keeps 4.5:1 contrast or more."""
    from gradio.themes import Base, Color

    green = Color(
        name="bottle",
        c50="#eef6f2", c100="#d8eae2", c200="#b3d6c7", c300="#84bba5", c400="#549b82",
        c500="#2f7d65", c600="#1d6550", c700="#175241", c800="#134235", c900="#10362c", c950="#081f19",
    )  # fmt: skip
    slate = Color(
        name="slate",
        c50="#f5f6f3", c100="#eceee9", c200="#dcdfd8", c300="#c1c7bf", c400="#949d95",
        c500="#6a746d", c600="#515b55", c700="#3c4540", c800="#242b28", c900="#1a201d", c950="#121614",
    )  # fmt: skip
    theme = Base(primary_hue=green, secondary_hue=green, neutral_hue=slate, font=SANS, font_mono=MONO)
    return theme.set(
        body_background_fill="*neutral_50", body_background_fill_dark="*neutral_950",
        body_text_color="#1d2622", body_text_color_dark="#e6e9e3",
        body_text_color_subdued="#56615b", body_text_color_subdued_dark="#a3ada6",
        background_fill_primary="#ffffff", background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_50", background_fill_secondary_dark="*neutral_950",
        border_color_primary="*neutral_200", border_color_primary_dark="#333b37",
        color_accent="*primary_600", color_accent_soft="*primary_50", color_accent_soft_dark="*primary_900",
        block_background_fill="transparent", block_background_fill_dark="transparent",
        block_border_width="0px", block_border_width_dark="0px",
        block_shadow="none", block_shadow_dark="none",
        block_label_text_color="#56615b", block_label_text_color_dark="#a3ada6",
        block_title_text_color="#56615b", block_title_text_color_dark="#a3ada6",
        input_background_fill="#ffffff", input_background_fill_dark="*neutral_900",
        input_border_color="#8b958e", input_border_color_dark="#69746d", input_border_width="1px",
        input_border_color_focus="*primary_600", input_border_color_focus_dark="*primary_300",
        input_placeholder_color="#626c66", input_placeholder_color_dark="#96a099",
        input_radius="10px",
        button_primary_background_fill="*primary_600", button_primary_background_fill_dark="*primary_300",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_200",
        button_primary_text_color="#ffffff", button_primary_text_color_dark="#0b241c",
        button_secondary_background_fill="#ffffff", button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover="*primary_50",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300", button_secondary_border_color_dark="#4a544e",
        button_secondary_text_color="#1d2622", button_secondary_text_color_dark="#e6e9e3",
        link_text_color="*primary_700", link_text_color_dark="*primary_300",
        layout_gap="16px",
    )  # fmt: skip
