
'use strict'
const captcha = document.getElementById('captcha')
const widget = captcha.firstElementChild
const told = captcha.lastElementChild
const form = captcha.closest('form')
// The full size is 300 pixels and a few; so much less goes into the card's own edge.
if (captcha.clientWidth < 284) widget.dataset.size = 'compact'

// Who is faster than the check waits for it, and need not press the button again.
let waiting = null
let sent = false
form.addEventListener('submit', (event) => {
  const solved = !!new FormData(form).get(widget.dataset.field)
  if (sent || !solved) event.preventDefault()
  if (solved) {
    // A token counts once: a second click would be refused.
    sent = true
    setTimeout(() => { sent = false }, 5000)
  } else {
    waiting = event.submitter
    told.textContent = 'One moment: the form is sent once the check above is done.'
  }
})
window.captchaSolved = () => {
  told.textContent = ''
  const button = waiting
  waiting = null
  if (button) form.requestSubmit(button)
}
window.captchaExpired = () => { told.textContent = 'The check has run out. Please do it again.' }
window.captchaFailed = () => { told.textContent = 'The check could not be shown. Something in this browser or network may keep it out. Load this page again to try once more.' }
addEventListener('error', (event) => { if (event.target instanceof HTMLScriptElement) window.captchaFailed() }, true)
// A page that comes back whole has a token that is spent.
addEventListener('pageshow', (event) => { if (event.persisted) location.reload() })
