"""Simulated shoppers who talk to the real assistant, to measure whole conversations.

goal.py      what a shopper wants, in words that are not its title
persona.py   how patient, picky and talkative they are
wording.py   what they mean, said in their way
shopper.py   one shopper: an opening, then a reaction to the cards of each answer
play.py      conversations played and kept, so that a run that was stopped goes on
report.py    success by turns, and what critiques add
"""
