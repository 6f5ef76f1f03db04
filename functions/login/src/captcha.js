
'use strict'
const captcha = document.getElementById('captcha')
const widget = captcha.firstElementChild
const message = captcha.lastElementChild
const form = captcha.closest('form')
// The full size needs some 300 pixels. Below 284 pixels it does not fit into the card.
if (captcha.clientWidth < 284) widget.dataset.size = 'compact'

// A form that is sent before the check is done waits for it, and is then sent without another click.
let waiting = null
let sent = false
form.addEventListener('submit', (event) => {
  const solved = !!new FormData(form).get(widget.dataset.field)
  if (sent || !solved) event.preventDefault()
  if (solved) {
    // A token is valid once, so a double click must not send the form twice.
    sent = true
    setTimeout(() => { sent = false }, 5000)
  } else {
    waiting = event.submitter
    message.textContent = 'One moment: the form is sent once the check above is done.'
  }
})
window.captchaSolved = () => {
  message.textContent = ''
  const button = waiting
  waiting = null
  if (button) form.requestSubmit(button)
}
window.captchaExpired = () => { message.textContent = 'The check has run out. Please do it again.' }
window.captchaFailed = () => { message.textContent = 'The check could not be shown. Something in this browser or network may keep it out. Load this page again to try once more.' }
addEventListener('error', (event) => { if (event.target instanceof HTMLScriptElement) window.captchaFailed() }, true)
// A page that the browser restores from its cache has a used token.
addEventListener('pageshow', (event) => { if (event.persisted) location.reload() })
