// Server-sent events out of a byte stream, by hand, since the browser's own reader can't send the token in a header.

export interface Frame {
  event: string;
  data: string;
  id: string;
}

/** Frames of a text that comes in pieces. What is not a whole frame yet waits for the next piece. */
export function splitter(): (piece: string) => Frame[] {
  let rest = "";
  return (piece) => {
    rest = (rest + piece).replace(/\r\n?(?!$)/g, "\n");
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    return blocks.map(parse).filter((frame): frame is Frame => frame !== null);
  };
}

function parse(block: string): Frame | null {
  const frame: Frame = { event: "message", data: "", id: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "event") frame.event = value;
    if (name === "id") frame.id = value;
    if (name === "data") data.push(value);
  }
  if (data.length === 0) return null;
  frame.data = data.join("\n");
  return frame;
}

/**
 * Which run a message is of. Its id says how far each run of the stream was told, as `run:number,run:number`; an event moves one of them.
 */
export function placer(): (id: string) => string {
  let before = new Map<string, string>();
  return (id) => {
    const now = new Map(id.split(",").map((part) => [part.slice(0, part.lastIndexOf(":")), part.slice(part.lastIndexOf(":") + 1)]));
    const moved = [...now].find(([run, told]) => (before.get(run) ?? "0") !== told);
    before = now;
    return moved?.[0] ?? "";
  };
}
