(function () {
  var root = document.documentElement, button = document.getElementById("theme");
  function dark() { return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; }
  function name() { button.textContent = language.say(dark() ? "Light theme" : "Dark theme"); button.hidden = false; }
  button.onclick = function () { root.dataset.theme = dark() ? "light" : "dark"; name(); };
  language.changed(name);
  name();
})();
