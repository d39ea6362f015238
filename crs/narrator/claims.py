"""The claims that the sentence gate understands, as a table: their kind, when they hold, how they are worded.

A wording is matched on a sentence's skeleton (sentence.py) in lower case. It is a regular expression in which
brackets only group, and with these slots:

    <a> <b>         one product or a list of them: "«0», «1» and «2»"
    <one>           a single product
    <n>             a number, in digits or in words
    <look>          words that may be a color or a material
    <dept> <dept2>  words that may be what a department's goods are called
    <stop>          punctuation or the sentence's end
    <end>           the same, or a word that begins the next phrase
    <aux>           had, has, been, also, both ... or nothing

Words at its ends are whole words. To teach the gate a turn of phrase, add a wording to the row it belongs
to; the tests hold every row against sentences that are true by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from crs.narrator.rules import (
    Rule,
    a_after_b,
    a_cheaper_than_b,
    among_departments,
    belongs_with,
    costs_least,
    costs_most,
    is_first,
    is_last,
    known_only_later,
    look_of,
    look_of_both,
    mean_stars_from,
    n_departments,
    n_purchases,
    not_owned_yet,
    of_departments,
    other_maker,
    same_kind,
    same_maker,
    stars_as_said,
    stars_from,
    with_nothing,
)
from crs.narrator.tally import (
    CHEAPEST,
    COUNT,
    DEAREST,
    DISLIKED,
    ENJOYED,
    FAIR,
    FIRST,
    GENEROUS,
    GOODS,
    HUES,
    IN_HUES,
    LAST,
    LIKED,
    LOVED,
    MATCHING,
    MEAN_STARS,
    N_DEPARTMENTS,
    PARTNER,
    SAME_KIND,
    STARS,
    STRICT,
    TIME_MARKS,
)

ClaimKind = Literal[
    "pointer", "noun", "price", "number", "brand", "color", "material", "size", "feature", "use", "circle",
    "count", "stars", "order", "cost", "department", "pairing", "hindsight", "loop", "ending",
]  # fmt: skip
CLAIM_KINDS: tuple[ClaimKind, ...] = get_args(ClaimKind)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: what its wordings claim, and the rule that decides.

    ``markup``: how the narrator writes such a claim (markup.py). Slot of the wording -> the slots that may
    take the place of its words, or the marks that may stand before its products; "" marks the whole.
    """

    kind: ClaimKind
    rule: Rule
    wordings: tuple[str, ...]
    markup: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


TABLE: tuple[Row, ...] = (
    Row("stars", stars_from(*STARS[LOVED]), (
        r"<a> <aux>(earned|got|received|won|given|deserved) (all |a |the |full )?(five stars|full marks)",
        r"<a> <aux>(earned|got|received|won|given|drew|deserved) (the )?(top|warmest|highest|perfect) "
        r"(marks|ratings?|praise|scores?)",
        r"<a> <aux>stood out with full marks", r"<a> earned top marks [^«.;]*?, (as|and so) did <b>",
        r"(gave|give|gives|giving|awarded) <a> (all |a |full )?(five stars|full marks|top marks)",
        r"(five stars|full marks|top marks) (for|to) <a>",
        r"<a> <aux>(delighted|thrilled|amazed) ", r"<a>,? [^«.;]*?had been a delight",
        r"<a> <aux>proved (to be )?a (clear success|hit|triumph|delight)",
        r"<a> <aux>(a|the) (clear success|hit|big hit|triumph|delight|high points?|absolute favorites?)",
        r"(?<!among )the favorites (are|being) <a>", r"at the top of the list (are|is) <a>",
        r"(even better|better still) of <a>", r"(loved|loves|love|adored|adores|adore|raved about) <a>",
        r"(delighted|thrilled) (with|by) <a>",
    ), {"a": (LOVED,)}),
    Row("stars", stars_from(*STARS[LIKED]), (
        r"(favorites include|among the favorites are|fans of|who liked|soft spot for( things like)?) <a>",
        r"(liked|likes|glad of|fond of|praised|praise for|well of|speaks? highly of) <a>",
        r"(happy|pleased|satisfied|impressed) (with|by|about) <a>", r"judging by <a>, you know a good thing",
        r"<a> <aux>(earned|won|got|drew) (your |their |high |much |warm )?praise",
        r"<a> <aux>(pleased|impressed|hit it|hit the mark)",
        r"<a> <aux>(worked out|went down|turned out|received) (well|nicely|a success)(?! enough)",
        r"how well <a> (worked out|turned out|went down)",
        r"<a> <aux>won (you|them|him|her|th[a-z]+ (shopper|customer|person)) over",
        r"won over (to [^«.;]*? )?by <a>", r"(what pleased|praise is concerned), <a> come to mind",
        r"<a> <aux>shown what (good|solid) work", r"but <a> did not<end>",
        r"a clear success; <a> came close", r"(worked out|went down) well, and so did <a>",
        r"a hit with you, and <a> too", r"(earned|got) top marks [^«.;]*?, (as|and so) did <a>",
        r"(happy|pleased) with «\d+», and with <a> too",
    ), {"a": (LIKED,)}),
    Row("stars", stars_from(*STARS[ENJOYED]), (
        r"(enjoyed|enjoys|appreciated|got full use out of|getting all there was out of) <a>",
        r"<a> <aux>(well received|good enough to repeat|served (you|them) well|did not disappoint)",
        r"nothing was wrong with <a>",
    ), {"a": (ENJOYED,)}),
    Row("stars", stars_from(*STARS[DISLIKED]), (
        r"<a>,? (which |that )?<aux>(disappointed|disappoints|disappointing|fell short|fallen short)",
        r"<a>,? (which |that )?<aux>(failed to (please|impress)|missed the mark)",
        r"<a>,? (which |that )?<aux>(did not please|never satisfied)",
        r"<a>,? (which |that )?<aux>let (you|them|him|her|down)",
        r"<a> <aux>(proved |turned out to be )?(a disappointment|a letdown|a poor buy|a (rare )?miss|poor)",
        r"<a> <aux>(earned|got|received) (only |just |barely )?(few stars|poor marks|low marks|one star)",
        r"<a> <aux>(earned|got|received) (only |just |barely )?(a (poor|low) rating|a star or two)",
        r"<a> <aux>left [^«.;]* wary", r"(low|poor|bad) rating (of|for) <a>", r"what <a> got wrong",
        r"(let down by|disappointed (by|with|in)|(unhappy|displeased|dissatisfied|trouble|put up) with) <a>",
        r"((poor|bad) experience with|deserve better than|better choice than|fresh start after) <a>",
        r"(regretted|regrets|hated|disliked|dislikes) <a>", r"not everything pleased[:,] <a>",
        r"not every (order|purchase) (pleased|had gone well|went your way)[:,] <a>", r"<a> least of all",
    ), {"a": (DISLIKED,)}),
    Row("stars", stars_as_said, (
        r"<a> <aux>(earned|got|received|deserved) (all |only |just |barely )?<n> (stars|out of five)",
        r"(gave|gives|rated) <a> (all |only |just |barely )?<n> (stars|out of five)",
        r"<n> stars (for|to) <a>",
    )),
    Row("stars", mean_stars_from(*MEAN_STARS[GENEROUS]), (
        r"gives? stars (freely|generously)", r"most orders earn four or five stars", r"easily pleased",
    ), {"": (GENEROUS,)}),
    Row("stars", mean_stars_from(*MEAN_STARS[STRICT]), (
        r"rates? strictly", r"full five stars must be earned", r"ratings are mixed",
    ), {"": (STRICT,)}),
    Row("stars", mean_stars_from(*MEAN_STARS[FAIR]), (
        r"ratings run from warm to cool", r"rates? with a level head", r"praise and blame in fair measure",
    ), {"": (FAIR,)}),
    Row("order", is_first, (
        r"(began|begins|begin|started|starts|opened) with <one>", r"(bought|ordered) <one> first<end>",
        r"<one>,? (was |were |being )?(the )?(very )?first (order|purchase|buy|thing)",
        r"(the )?(very )?first (order|purchase|thing)( of all)? (was|were|being|is) <one>",
    ), {"one": (FIRST,)}),
    Row("order", is_last, (
        r"<one>,? (came|comes|arrived) last", r"<one>,? (and )?most recently(?!,? «)",
        r"most recently,? <one>",
        r"<one>,? (was |is |being )?(the |their |your )?(very )?(latest|last|most recent|newest) "
        r"(order|purchase|buy)",
        r"(latest|last|most recent|newest) (order|purchase|buy),? (was |is |being )?<one>",
    ), {"one": (LAST,)}),
    Row("order", a_after_b, (
        r"<a>,? <aux>(then |later )?(replaced|followed|succeeded|joined) <b>",
        r"<a>,? <aux>(then |later )?(took over from|took the place of) <b>",
        r"<a>,? <aux>(bought|chosen|picked|ordered|added) to (replace|match|go with|complement|join) <b>",
        r"<a>,? <aux>(bought|chosen|picked|ordered|added) (later than|after) <b>",
        r"<a> (came|arrived) (in to replace|after) <b>", r"<b> (came|arrived) before <a>",
        r"<a> followed (in due course )?(when|once|after|as a match for) <b>",
        r"<a> came from the maker of <b>",
        r"<b> ([^«;]*? )?(gave|gives) way to <a>", r"<b> [^«;]*?,? so <a> took over",
        r"<b>,? ([^«;]*? )?<aux>(then |later )?(replaced|followed|succeeded) by <a>",
        r"(bought|ordered) <b> before <a>", r"(bought|ordered) <a> after <b>",
        r"(first|bought) <b>,? (and )?then <a>", r"<b>( early on)? and <a> most recently",
        r"<a> came last( of all)?,? (some time )?(after|following) <b>",
    ), {"a": TIME_MARKS, "b": TIME_MARKS}),
    Row("count", n_purchases, (
        r"(?<!first )(?<!last )(?<!other )(?<!more )(?<!latest )(?<!next )"
        r"<n> (earlier |previous |past |prior |recorded |different |single )?(purchases|orders|buys)",
        r"(ordered|bought|shopped|purchased)( here)? <n> times", r"<n> times so far",
        r"(ordered|bought|purchased|acquired) <n> (things|items|products|pieces)",
    ), {"n": (COUNT,)}),
    Row("count", n_departments, (
        r"<n> (different |separate )?(departments|categories)",
    ), {"n": (N_DEPARTMENTS,)}),
    Row("department", among_departments(1), (
        r"(at ease (among|with)|at home among) <dept><stop>", r"with <dept> at its cent(er|re)",
        r"to <dept> most often", r"more than others: <dept><stop>", r"<dept> took up the biggest share",
        r"come from <dept> again", r"returning to <dept> such as", r"beyond <dept>,", r"^among <dept>, «",
        r"<dept> came first", r"taste for [^«.;]+ and for <dept><stop>",
    ), {"dept": GOODS}),
    Row("department", among_departments(2), (
        r"<dept> and <dept2> (make up|fill)", r"mostly between <dept> and <dept2><stop>",
        r"(?<!who )shops? for <dept> and <dept2><stop>", r"most often, then to <dept><stop>",
        r"(buyer|lover) of <dept>$", r"beyond [^«.;]+, [^«.;]*?bought <dept>, «",
    ), {"dept": GOODS, "dept2": GOODS}),
    Row("department", of_departments, (
        r"<dept> took up the biggest share[^«.;]*?, <a>", r"^among <dept>, <a> (stand|are|is)",
        r"beyond [^«.;]+, [^«.;]*?bought <dept>, <a>", r"returning to <dept> such as <a>",
        r"<dept> came first, <a>",
    )),
    Row("cost", costs_most, (
        r"<one>,? <aux>(quite )?the (biggest|largest|greatest) (single )?(outlay|expense|purchase)",
        r"(biggest|largest|greatest) (single )?(outlay|expense|purchase) (was|were|being|is) <one>",
        r"<one> cost the most", r"<one>,? <aux>(the )?(costliest|dearest|priciest|most expensive)",
    ), {"one": (DEAREST,)}),
    Row("cost", costs_least, (
        r"<one> cost the least", r"<one>,? <aux>(the )?(cheapest|least expensive)",
    ), {"one": (CHEAPEST,)}),
    Row("cost", a_cheaper_than_b, (
        r"<a> had done the same job at a lower price", r"<a>, yet <b> costs? more",
        r"<b> costs? more than <a>",
        r"<a> costs? less than <b>", r"<a> (is|was|are|were) cheaper than <b>",
    )),
    Row("pairing", same_kind, (
        r"(replace|replacing|replacement for|in place of|make up for|move on from|move up from) <a>",
        r"(put right what|restock after|restocking after|take over from|keep the supply going after) <a>",
        r"(follow up|fresh supply after|follow-up to|better choice than|step up from|class above) <a>",
        r"(one better than|something better than|something finer than|trade|outgrown) <a>",
        r"<a> <aux>(done|served|come to the end of|neared the end of) (its|their) (duty|time|life)",
        r"<a> would not last", r"more of what <a> <aux>given",
        r"<a> <aux>(begun to feel|become) too basic", r"with <a> all but finished",
    ), {"a": (SAME_KIND,)}),
    Row("pairing", belongs_with, (
        r"(more out of|round out|companion to|companion for|partner for|missing half of|to complete) <a>",
        r"(go|use|used|goes) (with|alongside) <a>", r"<a> (called for|was missing|were missing) a companion",
        r"give <a> (a companion|some company)",
    ), {"a": (PARTNER,)}),
    Row("pairing", with_nothing, (
        r"(to go with|more out of|round out|use alongside|restock after|move up from)"
        r"(?! it\b| them\b)(?![^«.,;:]*«) ",
        r"(replacement for|make up for|move on from|take over from|keep the supply going after|outgrown|"
        r"fresh supply after|follow-up to|better choice than|step up from|(one|something) (better|finer) than"
        r"|companion to|partner for|missing half of) (the|their|your|this|these)\b(?![^«.,;:]*«)",
    )),
    Row("brand", same_maker, (
        r"(from|of|trust|trusted|trusting) the maker of <a>", r"stick with the maker of <a>",
        r"<b> came from the maker of <a>", r"<b> followed <a> from the same maker",
        r"the maker of <a> has done it again",
    )),
    Row("brand", other_maker, (r"<a> [^«.;]*, so meet <b> of a different make",)),
    Row("color", look_of("one"), (
        r"<one> in <look><end>", r"(?<!match )<one>,? <aux>(in|came in|comes in|come in|of) <look><end>",
        r"the <look> of <one>", r"<one>,? <aux>(made|crafted|built) (of|from|in) <look><end>",
    ), {"one": (MATCHING,)}),
    Row("color", look_of("a", "b"), (
        r"(the colou?r )?<look> (runs through|links|returns in|turns up in|shows in) <a>",
        r"<look> (keeps coming back|crops up again and again), on <a> as on <b>",
        r"(a liking|a taste|a weakness) for <look> shows in <a>",
        r"<look> is a colou?r [^«.;]*? returns? to, <a>", r"it tends to be <look>: <a>",
        r"likes? <look>, as <a> makes? plain",
        r"<a> <aux>(chosen|picked|bought) to match <b>,? (both )?in <look><end>",
    ), {"look": HUES, "a": IN_HUES, "b": IN_HUES}),
    Row("color", look_of_both, (
        r"(match|matching) <a> in <look><end>", r"<a> [^«.;]*? a match in <look><end>",
        r"more <look> to go with <a>", r"keep the <look> going: [^«]*«\d+» will match <a>",
        r"something in the <look> of <a>", r"carry the <look> of <a>", r"picks? up the <look> of <a>",
        r"<a> came in <look> as well", r"both this and <a> come in <look>",
    ), {"a": (MATCHING,)}),
    Row("color", look_of(), (
        r"^(?![^«]*«)[^«]*\bthe <look> (finish|colou?r|shade|version|tone|ones?)", r"the <look> finish",
        r"choice of <look><end>", r"(?<!» )(it|they|these|which|that) (also )?comes? in <look><end>",
        r"^in <look><end>", r"^in [a-z -]+ and <look><end>", r"(?<!» )(?<!», )made (of|from) <look><end>",
        r"^[a-z -]+ in <look> makes? for a look", r"^<look> in [a-z -]+ makes? for a look",
        r"(keep|keeping) everything in <look><end>",
    )),
    Row("hindsight", known_only_later, (
        r"(since then|ever since|afterwards?|in hindsight|looking back|to this day|in retrospect)",
        r"(years|months|weeks|days) later", r"after (using|trying|buying|owning|receiving) (it|them|<one>)",
        r"<one>,? (has|have) (since |already |now )?(been|become|proved|proven|worked|served|lived up)",
        r"<one>,? (has|have) (since |already |now )?(turned|held|made|delighted)",
        r"(already|still|now) (owns?|uses?|using|loves?|enjoys?|has|have) <one>",
        r"<one> (turned out|did not disappoint|lived up to|exceeded)",
    )),
    Row("hindsight", not_owned_yet, (
        r"(you|they) (already )?(have )?(own|bought|ordered|purchased) <one>", r"you already have <one>",
    )),
)  # fmt: skip
