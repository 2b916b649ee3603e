// The words of the page. A word is its own English; Japanese stands in the table.

const ja = {
  "Runs": "実行一覧", "Compare": "比較", "Items": "設問", "Tokenizer": "トークナイザー", "Chat": "チャット",
  "Dark": "ダーク", "Light": "ライト", "Skip to the content": "本文へ",
  "all": "すべて", "run": "学習", "evaluation": "評価", "judgement": "LLM 採点", "corpus": "コーパス", "tokenizer": "トークナイザー", "merge": "マージ", "unreadable": "読めない",
  "done": "完了", "running": "実行中", "stopped": "停止", "waiting": "待機",
  "Search name, path, figures": "名前・パス・数値で絞り込み", "Name": "名前", "Kind": "種類", "State": "状態", "Figures": "主な数値", "Size": "サイズ", "Date": "日時",
  "Nothing of jp-adapt lies in this folder yet.": "このフォルダーには jp-adapt の結果がまだありません。", "Nothing matches.": "該当なし",
  "Tag": "タグ", "Folder": "フォルダー", "Grouped by": "グループ化", "no tag": "タグなし", "Only this tag": "このタグだけ",
  "Settings beside another run": "比較する実行", "marks what new tokens spell.": "は追加トークンで書かれた部分です。",
  "Compare the chosen": "選択を比較", "Show items": "設問を見る", "Clear": "選択解除", "chosen": "件を選択", "Choose": "選択",
  "on the disk": "使用中", "shown": "件を表示", "Show all": "すべて表示",
  "Loading": "読み込み中", "Could not be shown": "表示できません",
  "Stages": "ステージ", "Curves": "学習曲線", "Settings that differ from the defaults": "既定値と異なる設定", "Samples": "生成サンプル", "Figures of the evaluation": "評価結果",
  "left": "残り", "Stage": "ステージ", "Horizontal": "横軸", "step": "ステップ", "tokens": "トークン", "time": "時間", "Smoothing": "平滑化", "Setting": "設定", "Value": "値",
  "Loss": "損失", "Held-out bits per character": "検証テキスト: 文字あたりビット", "Held-out bits per byte": "検証テキスト: バイトあたりビット", "Held-out": "検証テキスト",
  "Tokens per second": "毎秒トークン数", "Peak memory": "最大メモリ", "Gradient norm": "勾配ノルム", "Norm of embedding rows": "埋め込みのノルム", "Learning rate": "学習率", "Other": "その他",
  "Drag to zoom, double click to see all.": "ドラッグで拡大、ダブルクリックで全体。", "No steps yet.": "まだステップがありません。",
  "Base": "ベース", "Adapted": "適応後", "Difference": "差", "Text": "テキスト", "Benchmark": "ベンチマーク", "95 % interval": "95 % 信頼区間", "Verdict": "判定", "chance": "当て推量",
  "Prompt": "プロンプト", "Look at every item": "全設問を見る", "Repeat": "再実行", "created": "作成", "version": "バージョン",
  "Choose runs or evaluations in the table of runs, then compare them here.": "実行一覧で学習や評価を選ぶと、ここで比較できます。", "Add": "追加", "Remove": "外す",
  "Scores": "スコア", "Tests in pairs": "対応のある検定", "Settings that differ": "異なる設定", "Metric": "指標", "Model": "モデル", "items": "問", "against": "対", "p values are corrected by Holm for this many tests:": "p 値は Holm 法で補正。検定数:",
  "better": "良い", "worse": "悪い", "no difference": "差なし", "no verdict": "判定なし", "Bits per character": "文字あたりビット", "The same in all.": "すべて同じです。",
  "Test every pair": "検定する", "p (Holm)": "p (Holm)", "Computing": "計算中",
  "Evaluation": "評価", "beside": "比較相手", "none": "なし", "Outcome": "結果", "Flag": "フラグ", "boundary moved": "境界が移動", "truncated": "切り詰め", "any": "指定なし",
  "Search every text": "全文検索", "right": "正解", "wrong": "不正解", "both right": "両方正解", "both wrong": "両方不正解", "only A right": "A のみ正解", "only B right": "B のみ正解", "of": "/", "not scored": "採点なし",
  "Beginning that the prompts share": "共通の冒頭", "Choices": "選択肢", "Right answer": "正解", "Answer": "回答", "nats": "nats", "Thought": "思考", "Close": "閉じる", "Choose an item.": "設問を選んでください。",
  "lines could not be read": "行は読めませんでした", "Copy a link": "リンクをコピー",
  "There is no evaluation in this folder.": "このフォルダーに評価がありません。", "Type or paste text": "テキストを入力または貼り付け", "chars/token": "文字/トークン", "new": "追加", "characters": "文字", "bytes": "バイト", "Show ids": "ID を表示",
  "There is no tokenizer in this folder; --model PATH adds one.": "このフォルダーにトークナイザーがありません。--model PATH で追加できます。",
  "There is no model in this folder; --model PATH or --endpoint NAME=URL adds one.": "このフォルダーにモデルがありません。--model PATH または --endpoint NAME=URL で追加できます。",
  "What you say here is sent to": "入力した内容の送信先:",
  "part of a character": "文字の一部", "new token": "追加トークン", "vocabulary": "語彙",
  "Message": "メッセージ", "Send": "送信", "Stop": "中止", "New conversation": "新しい会話", "Save the transcript": "記録を保存", "System prompt": "システムプロンプト", "Temperature": "温度", "Longest answer": "最大トークン数", "Sampling": "サンプリング", "Seed": "シード",
  "Sources": "ソース", "Source": "ソース", "Documents": "文書", "documents": "文書", "Characters": "文字", "Tokens": "トークン", "Unread": "読めない文書", "What each step did": "各処理の結果", "dropped": "除去", "changed": "変更",
  "Near duplicates beside what was kept": "近似重複と残した文書の対照", "kept": "採用", "Lengths of the documents": "文書の長さ", "Scripts": "文字種", "of the characters": "文字の割合",
  "kanji": "漢字", "hiragana": "ひらがな", "katakana": "カタカナ", "kana_mark": "かな記号", "latin": "ラテン文字", "digit": "数字", "space": "空白", "punctuation": "句読点", "other": "その他の文字",
  "Samples of what was dropped": "除去された文書の例", "The connection is gone; is jp-adapt ui still running?": "接続が切れました。jp-adapt ui は動いていますか。",
};

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("ja") ? "ja" : "en");
document.documentElement.lang = language;

export const t = (word) => (language === "ja" ? (ja[word] ?? word) : word);
export const otherLanguage = () => (language === "ja" ? "English" : "日本語");

export function switchLanguage() {
  language = language === "ja" ? "en" : "ja";
  localStorage.setItem("language", language);
  document.documentElement.lang = language;
}
