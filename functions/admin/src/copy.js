
'use strict'
const button = document.getElementById('copy')
const key = document.getElementById('key')
const told = document.getElementById('copied')
button.hidden = false
// Firefox selects nothing of it by a double click.
key.addEventListener('dblclick', () => getSelection().selectAllChildren(key))
button.addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(key.textContent)
    told.textContent = 'Copied.'
  } catch {
    // A browser may forbid it.
    getSelection().selectAllChildren(key)
    told.textContent = 'Your browser does not let us copy it. It is selected now: copy it yourself.'
  }
})
