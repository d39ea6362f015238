"""LLM-Rec (Lyu et al. 2023): item texts augmented by a language model, and a recommender that reads them."""
