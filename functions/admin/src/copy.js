
'use strict'
const button = document.getElementById('copy')
const key = document.getElementById('key')
const message = document.getElementById('copied')
button.hidden = false
// In Firefox a double click alone does not select the key.
key.addEventListener('dblclick', () => getSelection().selectAllChildren(key))
button.addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(key.textContent)
    message.textContent = 'Copied.'
  } catch {
    // The browser may forbid it.
    getSelection().selectAllChildren(key)
    message.textContent = 'Your browser does not let us copy it. It is selected now: copy it yourself.'
  }
})
