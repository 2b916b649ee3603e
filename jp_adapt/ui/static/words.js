// The words of the page. A word is its own English; the Japanese ones are those of the static pages, too (japanese.json).

const ja = await (await fetch("japanese.json")).json();

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("ja") ? "ja" : "en");
document.documentElement.lang = language;

export const t = (word) => (language === "ja" ? (ja[word] ?? word) : word);
export const otherLanguage = () => (language === "ja" ? "English" : "日本語");

export function switchLanguage() {
  language = language === "ja" ? "en" : "ja";
  localStorage.setItem("language", language);
  document.documentElement.lang = language;
}
