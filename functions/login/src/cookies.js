if (!navigator.cookieEnabled) document.getElementById("cookies").hidden = false;
