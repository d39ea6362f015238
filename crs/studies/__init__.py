"""Rating studies: people judge narratives, blinded (REGEN, section 3.3, put to people).

    plan.py        the study's file: what is compared, on which tasks, by how many raters
    trials.py      what a rater sees at once, and how a study lies in its folder
    prepare.py     a plan into a folder: narratives told once, and frozen
    planted.py     texts spoilt on purpose, to see who reads
    ratings.py     SQLite: raters, their queues, what they answered
    study.py       an opened study, as the page uses it
    outcomes.py    whose answers count, and which of two texts they prefer
    report.py      what it all comes to, with agreement.py, auto_rater.py and draw.py
    export.py      ratings and preferences for others to learn from

The page is ui/study_page.py, the commands are in crs/cli/study.py.
"""
