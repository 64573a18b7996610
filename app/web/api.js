// Asks the service. Whatever goes wrong becomes one sentence that says what to do.

import { currentKey, forgetKey, requestKey } from "./keys.js";
import { counted } from "./numbers.js";

/** `sentence` is for people. `retryAfter`: seconds, if to try again may help; null if not. */
export class Failure extends Error {
  constructor(sentence, { status = 0, code = "", retryAfter = null } = {}) {
    super(sentence);
    Object.assign(this, { sentence, status, code, retryAfter });
  }
}

export function address(path) {
  return new URL(path, document.baseURI).href;
}

/** The answer's JSON; null where there is none. Raises Failure, or AbortError if `signal` says so. */
export async function ask(path, options = {}) {
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

/** A response of status 2xx. `json` or `body` is what to send. Asks for a key where the service does. */
export async function send(path, { method = "GET", json, body, signal, headers = {} } = {}) {
  for (;;) {
    const key = currentKey();
    const sent = { ...headers, ...(key && { "X-API-Key": key }), ...(json && { "Content-Type": "application/json" }) };
    let response;
    try {
      response = await fetch(address(path), { method, headers: sent, body: json ? JSON.stringify(json) : body, signal });
    } catch (error) {
      throw error.name === "AbortError" ? error : unreachable();
    }
    if (response.ok) return response;
    const failure = await read(response);
    if (failure.status !== 401 || !(await renewKey(key))) throw failure;
  }
}

export function unreachable() {
  return new Failure("The service cannot be reached. See that it runs and that you are connected, then try again.", {
    code: "unreachable",
  });
}

/** Whether there is a key to try that is not `refused`. */
export async function renewKey(refused) {
  if (currentKey() !== refused) return true;
  forgetKey();
  return (await requestKey(refused)) !== null;
}

async function read(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // what stands between here and the service may answer otherwise
  }
  return toFailure(response.status, problem, Number(response.headers.get("Retry-After")) || null);
}

/** `problem`: RFC 9457 problem details, or what is there of them. */
export function toFailure(status, problem, retryAfter = null) {
  const code = typeof problem?.code === "string" ? problem.code : "";
  return new Failure(toSentence(status, code, problem ?? {}, retryAfter), { status, code, retryAfter });
}

function toSentence(status, code, problem, retryAfter) {
  const detail = typeof problem.detail === "string" ? problem.detail : "";
  const later = retryAfter ? `Try again in ${counted(retryAfter, "second")}.` : "Try again in a moment.";
  switch (status) {
    case 401:
      return "This service needs a key. Enter one to go on.";
    case 403:
      if (code === "strange_origin") return detail;
      return "Your key may not do this. Ask whoever runs the service for one that may.";
    case 413:
      return `${detail || "This is too large."} ${code === "text_too_long" ? "Shorten it." : "Send less at once."}`;
    case 422:
      if (code === "file_invalid") return `The file cannot be read: ${detail}.`;
      return `The service cannot read this. ${firstFault(problem) || detail}`;
    case 429:
      return `You have asked as often as is allowed for now. ${later}`;
    case 503:
      if (code.endsWith("_store")) return detail;
      return `The service has too much to do just now. ${later}`;
    case 504:
      return "No answer came in time. Try again, or try a shorter text.";
    case 507:
      return detail || "The service has no room. Try again later.";
    default:
      return status >= 500 ? "The service failed to answer. Try again; if it goes on, its log says why." : detail || `The service refused (${status}).`;
  }
}

function firstFault(problem) {
  const fault = Array.isArray(problem.errors) ? problem.errors[0] : null;
  return typeof fault?.msg === "string" ? `${fault.msg}.` : "";
}
