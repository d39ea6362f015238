/* What the page does by itself, beside Gradio's own script: small mends, where the reader looks, where the focus goes. */

/* Gradio calls its examples a list, of which buttons are no items, and has no words for an empty picker. */
const mend = () => {
  document.querySelectorAll('.examples[role=list]').forEach((list) => list.role = 'group');
  document.querySelector('#rc-picker input')?.setAttribute('placeholder', 'Pick a shopper…');
};
new MutationObserver(mend).observe(document.body, {childList: true, subtree: true});
mend();

/* An answer is read from its beginning: the page follows what is being said only until its question is on top,
   and not at all once the reader scrolls. */
let asked = 0, wasLive = false, held = false, due = false;
const follow = () => {
  due = false;
  const pane = document.querySelector('#rc-chat .bubble-wrap');
  const questions = pane?.querySelectorAll('.user-row') ?? [];
  const live = Boolean(pane?.querySelector('.rc-live'));
  if (questions.length !== asked || (live && !wasLive)) held = false;
  asked = questions.length;
  wasLive = live;
  if (!asked || held) return;
  const top = questions[asked - 1].getBoundingClientRect().top - pane.getBoundingClientRect().top;
  pane.scrollTop = Math.min(pane.scrollHeight - pane.clientHeight, pane.scrollTop + top - 12);
  if (!live) setTimeout(() => { held = true; }, 300); // chips and stars come a moment later
};
new MutationObserver(() => { if (!due) { due = true; requestAnimationFrame(follow); } })
  .observe(document.body, {childList: true, subtree: true});
for (const kind of ['wheel', 'touchmove', 'keydown', 'pointerdown'])
  document.addEventListener(kind, (event) => { if (event.target.closest?.('#rc-chat')) held = true; },
    {passive: true, capture: true});

/* Whoever acts by keyboard on what then goes away is led on, not back to the top of the page. */
const leadTo = (find) => {
  const until = Date.now() + 5000;
  const look = () => {
    const next = document.activeElement === document.body ? find() : null;
    if (next) next.focus();
    else if (Date.now() < until) setTimeout(look, 100);
  };
  setTimeout(look, 100);
};
const box = () => document.querySelector('#rc-message textarea:not([disabled])');
document.addEventListener('click', (event) => {
  if (event.detail !== 0) return;
  if (event.target.closest('#rc-chat .option, #rc-chat .example')) leadTo(box);
  if (event.target.closest('.rc-consent'))
    leadTo(() => [...document.querySelectorAll('.rc-reason input, .rc-star')].pop());
}, {capture: true});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && event.target.closest('#rc-picker')) leadTo(box);
}, {capture: true});
