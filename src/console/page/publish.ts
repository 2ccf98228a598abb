// The publish box.

import { find, plain } from "./dom.ts";
import { json, messageOf } from "./http.ts";

export function beginPublish(): void {
  const form = find<HTMLFormElement>("#publish-form");
  const note = find(".note", form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const message = {
      topic: data.get("topic"),
      payload: data.get("payload"),
      qos: Number(data.get("qos")),
      retain: data.get("retain") === "on",
    };
    void json("/publish", { method: "POST", body: JSON.stringify(message) }).then(
      () => {
        note.textContent = `Published to ${plain(String(message.topic))} at ${new Date().toLocaleTimeString()}.`;
      },
      (error: unknown) => {
        note.textContent = messageOf(error);
      },
    );
  });
}
