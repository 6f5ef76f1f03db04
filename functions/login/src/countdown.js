const wait = document.getElementById("wait");
const until = Date.now() + 1000 * wait.dataset.seconds;
const tick = () => {
  const left = Math.ceil((until - Date.now()) / 1000);
  wait.textContent = left > 0 ? `Another one can be sent in ${left} s.` : "Another one can be sent now.";
  if (left > 0) setTimeout(tick, 1000);
};
tick();
