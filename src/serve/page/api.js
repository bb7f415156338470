// Asks the server, and asks again while the page is looked at.

const SECOND = 1000;
const trouble = () => document.getElementById("trouble");

export class Refused extends Error {}

// The answer to a path as JSON. What the server says of a failure becomes the message of an error.
export const get = async (path) => {
  let answer;
  try {
    answer = await fetch(path);
  } catch {
    throw new Error("strata serve does not answer. Has it ended? This page goes on once it is back.");
  }
  const document = await answer.json();
  if (!answer.ok) throw new Refused(document.error || `the server answered ${answer.status}`);
  return document;
};

// Calls a task now, and again once its returned number of seconds is over (1 by default; 0 ends it). A page that nobody sees
// asks seldom. Returns how to stop it.
export const poll = (task) => {
  let stopped = false, timer, busy = false;
  const turn = async () => {
    clearTimeout(timer);
    if (stopped || busy) return;
    busy = true;
    let pause = 1;
    try {
      pause = await task() ?? 1;
      if (!stopped) trouble().hidden = true;
    } catch (error) {
      if (!stopped) {
        trouble().textContent = error.message;
        trouble().hidden = false;
      }
      pause = 3;
    }
    busy = false;
    if (pause > 0 && !stopped) timer = setTimeout(turn, (document.hidden ? Math.max(15, pause) : pause) * SECOND);
    else stopped = true;
  };
  const seen = () => { if (!document.hidden) turn(); };
  document.addEventListener("visibilitychange", seen);
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", seen);
  };
};
