// Sends a file as it is, and tells how much of it has gone: fetch cannot, so this is XMLHttpRequest.

import { address, Failure, renewKey, toFailure, unreachable } from "./api.js";
import { currentKey } from "./keys.js";

/** What the service answers. `tell(share)` hears how much has gone; `signal` ends it. Raises Failure, or AbortError. */
export async function upload(path, file, tell, signal) {
  for (;;) {
    const key = currentKey();
    try {
      return await sendOnce(path, file, key, tell, signal);
    } catch (failure) {
      if (!(failure instanceof Failure) || failure.status !== 401 || !(await renewKey(key))) throw failure;
    }
  }
}

function sendOnce(path, file, key, tell, signal) {
  return new Promise((settle, refuse) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path));
    request.responseType = "json";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (key) request.setRequestHeader("X-API-Key", key);
    request.upload.addEventListener("progress", ({ loaded, total }) => tell(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const { status, response } = request;
      if (status >= 200 && status < 300) settle(response);
      else refuse(toFailure(status, response, Number(request.getResponseHeader("Retry-After")) || null));
    });
    request.addEventListener("error", () => refuse(unreachable()));
    request.addEventListener("abort", () => refuse(new DOMException("stopped", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
