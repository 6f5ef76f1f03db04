'use strict'
// What a button gives away ([data-deliberate]) is given to a press that began here, after the page had been in view for a moment. A window
// that closes under the first half of a double click must not lend its second half to this page. A click by neither pointer nor key, as
// assistive technology makes it, has no beginning of its own: the moment counts from the click.
{
  const MOMENT = 700
  // A press belongs to the click that follows it within this time, all in milliseconds.
  const AFTERWARDS = 1000
  const now = () => performance.now()
  let shown = now()
  for (const kind of ['focus', 'pageshow']) addEventListener(kind, () => { shown = now() })
  document.addEventListener('visibilitychange', () => { shown = now() })

  let began = null
  let ended = null
  const begins = (at) => { [began, ended] = [at, null] }
  // Of many quick presses that were meant for what was here before, none counts: the moment begins anew with each.
  const presses = (at) => {
    if (at - shown < MOMENT) shown = Math.max(shown, at)
    begins(at)
  }
  addEventListener('pointerdown', (event) => presses(event.timeStamp), true)
  addEventListener('keydown', (event) => {
    // One that was held down before the page was there repeats.
    if (event.repeat) { if (ended !== null || began === null) begins(-Infinity) }
    else if (event.key === 'Enter' || event.key === ' ') presses(event.timeStamp)
    else begins(event.timeStamp)
  }, true)
  for (const kind of ['pointerup', 'pointercancel', 'keyup']) addEventListener(kind, () => { ended = now() }, true)

  for (const button of document.querySelectorAll('[data-deliberate]')) {
    const word = document.createElement('p')
    word.className = 'hint'
    word.setAttribute('role', 'status')
    button.parentElement.after(word)
    button.addEventListener('click', (event) => {
      const ofPress = began !== null && (ended === null || now() - ended < AFTERWARDS)
      if ((ofPress ? began : now()) - shown >= MOMENT) return
      event.preventDefault()
      shown = now()
      word.textContent = 'That was too quick to be sure that you meant it. Look at this page once more, then press again.'
    })
  }
}
