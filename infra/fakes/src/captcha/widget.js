'use strict'
// Draws in every element of the provider's class, as the real script does, and puts the token into a field beside it.
for (const box of document.querySelectorAll('.cf-turnstile, .h-captcha')) {
  const hcaptcha = box.classList.contains('h-captcha')
  const origin = hcaptcha ? 'https://newassets.hcaptcha.com' : new URL(document.currentScript.src).origin
  const field = document.createElement(hcaptcha ? 'textarea' : 'input')
  field.name = hcaptcha ? 'h-captcha-response' : 'cf-turnstile-response'
  field.hidden = true
  const frame = document.createElement('iframe')
  frame.title = 'Widget of a captcha'
  frame.width = box.dataset.size === 'compact' ? '150' : '300'
  frame.height = box.dataset.size === 'compact' ? '140' : '65'
  addEventListener('message', ({ source, data }) => {
    if (source !== frame.contentWindow) return
    field.value = data.token
    window[box.dataset.callback]?.(data.token)
  })
  if (hcaptcha) {
    const style = document.createElement('link')
    style.rel = 'stylesheet'
    style.href = `${origin}/widget.css`
    document.head.append(style)
    fetch('https://api.hcaptcha.com/checksiteconfig').catch(() => window[box.dataset.errorCallback]?.('network-error'))
  }
  frame.src = `${origin}/frame?sitekey=${box.dataset.sitekey}`
  box.append(frame, field)
}
