// The keyboard of the rating page, and what its forms send. Loaded by ui/study_page.py, once; `trigger` is Gradio's.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);
const groups = () => all('.st-rating fieldset');
const isOpen = (group) => !group.querySelector(':checked');
let key = null, shownAt = 0, waiting = false;

const say = (text) => { const status = one('.st-status'); if (status) status.textContent = text; };

const send = (action, fields = {}) => {
  if (waiting) return;
  waiting = true;
  setTimeout(() => { waiting = false; }, 10000);  // an answer that got lost may be sent again
  trigger('submit', {action, fields: JSON.stringify({code: one('.st-screen').dataset.code, ...fields})});
};

// A new screen: nothing of the last answer is left, for Gradio changes a page in place and an input keeps what was
// chosen in it. Read from its top, the purchases open where there is room for them.
const arrive = () => {
  const screen = one('.st-screen');
  if (!screen || screen.dataset.key === key) return;
  key = screen.dataset.key;
  shownAt = performance.now();
  waiting = false;
  for (const form of all('form', screen)) { form.reset(); form.scrollTop = 0; }
  for (const panel of all(':popover-open')) panel.hidePopover();
  say('');
  const history = one('.st-history');
  if (history) history.open = window.matchMedia('(min-width: 900px)').matches;
  window.scrollTo(0, 0);
  screen.querySelector('h1').focus({preventScroll: true});
};

// What the server refused: the answer stays as it was typed.
const refused = () => {
  const problem = one('#st-problem [data-n]');
  if (!problem || problem.dataset.n === refused.last) return;
  refused.last = problem.dataset.n;
  waiting = false;
  say(problem.textContent);
};

new MutationObserver(() => { arrive(); refused(); }).observe(document.body, {subtree: true, childList: true});
arrive();

const enter = (group) => (group.querySelector(':checked') || group.querySelector('input')).focus();
const goOn = () => {
  const next = groups().find(isOpen);
  if (next) enter(next); else one('.st-rating .st-main').focus();
};
const choose = (group, value) => {
  const input = group && group.querySelector(`input[value="${value}"]`);
  if (!input) return;
  input.checked = true;
  say('');
  goOn();
};

document.addEventListener('submit', (event) => {
  if (event.target.matches('.st-start')) {
    event.preventDefault();
    const {code, consent} = event.target.elements;
    if (!consent.checked) { say('Tick the box first: without your consent nothing can be kept.'); consent.focus(); return; }
    send('begin', {code: code.value});
  } else if (event.target.matches('.st-rating')) {
    event.preventDefault();
    const open = groups().find(isOpen);
    if (open) { say(`Still open: ${open.querySelector('legend b').textContent}`); enter(open); return; }
    const fields = {seconds: (performance.now() - shownAt) / 1000};
    for (const [name, value] of new FormData(event.target)) fields[name] = name === 'choice' ? value : Number(value);
    send('answer', {trial: one('.st-screen').dataset.trial, ...fields});
  }
});

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action]');
  if (button) send(button.dataset.action);
});

document.addEventListener('keydown', (event) => {
  const form = one('.st-rating');
  if (!form || event.ctrlKey || event.altKey || event.metaKey) return;
  const here = event.target.closest('.st-rating fieldset'), pressed = event.key.toLowerCase();
  if (/^[1-7]$/.test(pressed)) {
    const scales = groups().filter((group) => group.dataset.name !== 'choice');
    choose(scales.includes(here) ? here : scales.find(isOpen) || scales.at(-1), pressed);
  } else if ('abt'.includes(pressed) && one('[data-name="choice"]')) {
    choose(one('[data-name="choice"]'), {a: 'left', b: 'right', t: 'tie'}[pressed]);
  } else if (here && (pressed === 'arrowup' || pressed === 'arrowdown')) {
    const next = groups()[groups().indexOf(here) + (pressed === 'arrowdown' ? 1 : -1)];
    if (next) enter(next);
  } else if (pressed === 'u') {
    const undo = one('[data-action="undo"]:not([disabled])');
    if (undo) send('undo');
  } else if (pressed === 'enter' && !event.target.closest('button, summary, a, label')) {
    form.requestSubmit();
  } else {
    return;
  }
  event.preventDefault();
});
