// What the server is asked. Addresses are relative: the token of the page stands before them.

async function answered(response) {
  const value = await response.json().catch(() => ({ error: `${response.status} ${response.statusText}` }));
  if (!response.ok) throw new Error(value.error ?? response.statusText);
  return value;
}

function query(values) {
  const pairs = Object.entries(values).flatMap(([name, value]) => [value].flat().map((one) => [name, String(one).toWellFormed?.() ?? String(one)]));
  return new URLSearchParams(pairs).toString();
}

// Whether the server answers: where it does not, the page says so until it does again.
function heard(answers) {
  document.getElementById("gone").hidden = answers;
}

async function asked(address, options) {
  try {
    const response = await fetch(address, options);
    heard(true);
    return response;
  } catch (error) {
    if (error.name !== "AbortError") heard(false);
    throw error;
  }
}

export async function get(name, values = {}, signal = undefined) {
  return answered(await asked(`api/${name}?${query(values)}`, { signal }));
}

function send(name, value, signal) {
  return asked(`api/${name}`, { method: "POST", body: JSON.stringify(value), headers: { "content-type": "application/json" }, signal });
}

export async function post(name, value, signal = undefined) {
  return answered(await send(name, value, signal));
}

// Events of a POST as they come.
export async function* streamed(name, value, signal) {
  const response = await send(name, value, signal);
  if (!response.ok) await answered(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value: piece, done } = await reader.read();
    if (done) return;
    const events = (rest + piece).split("\n\n");
    rest = events.pop();
    for (const event of events) if (event.startsWith("data: ")) yield JSON.parse(event.slice(6));
  }
}

// Events of a run while it is watched; the function that comes back ends it.
export function live(path, hear) {
  const source = new EventSource(`api/live?${query({ p: path })}`);
  source.onopen = () => heard(true);
  source.onerror = () => heard(source.readyState === EventSource.CLOSED); // closed: it answered, and refused
  source.onmessage = (event) => hear(JSON.parse(event.data));
  return () => source.close();
}
