
'use strict'
const form = document.getElementById('consent')
const announcement = document.getElementById('told')
const tenants = [...form.querySelectorAll('input[name=tenant][type=radio]')]
const nameOf = (tenant) => tenant.parentElement.querySelector('.name').textContent
// Isolates a name, whose direction of writing may differ from that of the sentence.
function isolated(name) {
  const bdi = document.createElement('bdi')
  bdi.textContent = name
  return bdi
}

// Disables the boxes that the role in the chosen workspace does not allow, and says so beside each.
function show() {
  const chosen = tenants.find((tenant) => tenant.checked)
  const missing = chosen ? chosen.dataset.lacks.split(' ') : []
  const barredTitles = []
  for (const label of form.querySelectorAll('[data-scope]')) {
    const box = label.querySelector('input')
    const explanation = label.querySelector('.why')
    const barred = missing.includes(label.dataset.scope)
    if (barred && !box.disabled) { box.dataset.was = box.checked ? '1' : ''; box.checked = false }
    if (!barred && box.disabled) box.checked = box.dataset.was === '1'
    box.disabled = barred
    explanation.hidden = !barred
    explanation.replaceChildren(...(barred ? ['Your role in ', isolated(nameOf(chosen)), ' (', isolated(chosen.dataset.role), ') does not allow this.'] : []))
    if (barred) barredTitles.push(label.querySelector('.title').textContent)
  }
  for (const label of form.querySelectorAll('[data-tenant]')) label.hidden = !!chosen && label.dataset.tenant !== chosen.value
  const also = form.querySelector('.also')
  if (also) also.hidden = ![...also.querySelectorAll('[data-tenant]')].some((label) => !label.hidden)
  if (chosen) announcement.replaceChildren('Your role in ', isolated(nameOf(chosen)), barredTitles.length ? ` does not allow: ${barredTitles.join(', ')}.` : ' allows all of this.')
}
if (tenants.length) {
  form.classList.add('live')
  for (const tenant of tenants) tenant.addEventListener('change', show)
  show()
  announcement.textContent = ''
}

// The search among many workspaces.
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
    announcement.textContent = `${shown} of ${tenants.length} workspaces shown.`
  })
  box.addEventListener('keydown', (event) => { if (event.key === 'Enter') event.preventDefault() })
}

// Ticks many boxes at once. What the role does not allow stays as it is.
const presets = document.getElementById('presets')
if (presets) {
  presets.hidden = false
  presets.addEventListener('click', ({ target }) => {
    const { preset } = target.dataset
    if (!preset) return
    const labels = [...form.querySelectorAll('[data-scope]')].filter((label) => !label.querySelector('input').disabled)
    for (const label of labels) {
      const requested = label.dataset.more === undefined
      const ticked = preset === 'all' || (requested && (preset === 'requested' || label.dataset.scope.endsWith(':read')))
      label.querySelector('input').checked = ticked
    }
    announcement.textContent = `${labels.filter((label) => label.querySelector('input').checked).length} of ${labels.length} ticked.`
  })
}
