"""Table 1 of the REGEN paper: how near a narrator comes to reference texts with CF, with content, with both.

    layouts.py        which data set lies in a folder, told by its files and columns
    explained.py      explanations of who takes what (narratives.parquet, pairs.parquet) as a benchmark
    profiled.py       profiles of raters (user_summaries, ratings and items.parquet) as a benchmark
    benchmark.py      references, what is known of their people, and folds in which no person is in two parts
    rows.py           the rows that each of the three models may see
    contest.py        trains the three alike, lets them tell, keeps every run on disk
    nearest.py        the baseline: the nearest training text
    consensus.py      of several samples the one that agrees most with the others
    scores.py         BLEU, ROUGE-Lsum and similarity, with paired bootstrap intervals
    hidden_reason.py  is the true hidden reason the likeliest one
    report.py         the figures as JSON and as the paper's table

Training and sampling of one model are in crs/training (contestant.py, decoding.py).
"""
