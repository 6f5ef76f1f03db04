
'use strict'
const form = document.getElementById('consent')
const told = document.getElementById('told')
const tenants = [...form.querySelectorAll('input[name=tenant][type=radio]')]
const nameOf = (tenant) => tenant.parentElement.querySelector('.name').textContent
// A name that may be read against the direction of the sentence that it is in.
function isolated(name) {
  const bdi = document.createElement('bdi')
  bdi.textContent = name
  return bdi
}

// What the role in the chosen workspace does not allow is shown where it would be ticked.
function show() {
  const chosen = tenants.find((tenant) => tenant.checked)
  const lacks = chosen ? chosen.dataset.lacks.split(' ') : []
  const barred = []
  for (const label of form.querySelectorAll('[data-scope]')) {
    const box = label.querySelector('input')
    const why = label.querySelector('.why')
    const bars = lacks.includes(label.dataset.scope)
    if (bars && !box.disabled) { box.dataset.was = box.checked ? '1' : ''; box.checked = false }
    if (!bars && box.disabled) box.checked = box.dataset.was === '1'
    box.disabled = bars
    why.hidden = !bars
    why.replaceChildren(...(bars ? ['Your role in ', isolated(nameOf(chosen)), ' (', isolated(chosen.dataset.role), ') does not allow this.'] : []))
    if (bars) barred.push(label.querySelector('.title').textContent)
  }
  for (const label of form.querySelectorAll('[data-tenant]')) label.hidden = !!chosen && label.dataset.tenant !== chosen.value
  const also = document.getElementById('also')
  if (also) also.hidden = ![...also.querySelectorAll('[data-tenant]')].some((label) => !label.hidden)
  if (chosen) told.replaceChildren('Your role in ', isolated(nameOf(chosen)), barred.length ? ` does not allow: ${barred.join(', ')}.` : ' allows all of this.')
}
if (tenants.length) {
  form.classList.add('live')
  for (const tenant of tenants) tenant.addEventListener('change', show)
  show()
  told.textContent = ''
}

// Among many workspaces one searches.
const search = document.getElementById('search')
if (search) {
  const box = search.querySelector('input')
  search.hidden = false
  box.addEventListener('input', () => {
    const text = box.value.trim().toLowerCase()
    let shown = 0
    for (const tenant of tenants) {
      const fits = tenant.checked || nameOf(tenant).toLowerCase().includes(text)
      tenant.parentElement.hidden = !fits
      if (fits) shown += 1
    }
    told.textContent = `${shown} of ${tenants.length} workspaces shown.`
  })
  box.addEventListener('keydown', (event) => { if (event.key === 'Enter') event.preventDefault() })
}
