
'use strict'
// A second click is not a second form. If nothing answers, one can try again.
let sent = false
document.querySelector('main form').addEventListener('submit', (event) => {
  if (sent) event.preventDefault()
  sent = true
  setTimeout(() => { sent = false }, 5000)
})
addEventListener('pageshow', () => { sent = false })
