"use strict";
// What the page holds: volumes of 8 bits in the frame, whose millimetres run along the scan's axes from a corner of
// what is shown. Axes are 0 to the right, 1 to anterior, 2 to superior.
const scan = (() => {
  const facts = JSON.parse(document.getElementById("volumes").textContent);

  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const characters = atob(text);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    return bytes;
  };

  const decode = async (volume) => {
    const bytes = bytesOf(document.getElementById(`samples-${volume.key}`).textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    volume.samples = new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const asked = new Map();
  // Each is decoded once, whoever asks.
  const ready = (volume) => {
    if (!asked.has(volume)) asked.set(volume, decode(volume));
    return asked.get(volume);
  };

  // The voxel of a volume that holds a place; undefined outside.
  const voxelAt = (volume, axis, millimetres) => {
    const index = Math.floor((millimetres - volume.edge[axis]) / volume.step[axis]);
    return index >= 0 && index < volume.shape[axis] ? index : undefined;
  };

  // What a step of value stands for, in the scan's own units.
  const valueOf = (volume, step) => {
    const [low, high] = volume.spread ? [0, facts.top] : facts.grey;
    return low + (step / facts.steps) * (high - low);
  };

  const valueAt = (volume, place) => {
    const [x, y, z] = place.map((millimetres, axis) => voxelAt(volume, axis, millimetres));
    if (!volume.samples || x === undefined || y === undefined || z === undefined) return undefined;
    return valueOf(volume, volume.samples[(x * volume.shape[1] + y) * volume.shape[2] + z]);
  };

  // Draws the plane at index k of axis n onto a canvas of its voxels: axis h runs to the left, axis v upwards.
  const drawPlane = (volume, [h, v, n], k, colours, canvas) => {
    const [width, height] = [volume.shape[h], volume.shape[v]];
    const strides = [volume.shape[1] * volume.shape[2], volume.shape[2], 1];
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let row = 0, i = 0; row < height; row++) {
      let at = k * strides[n] + (height - 1 - row) * strides[v] + (width - 1) * strides[h];
      for (let column = 0; column < width; column++, at -= strides[h]) pixels[i++] = colours[volume.samples[at]];
    }
    context.putImageData(image, 0, 0);
  };

  const opaque = (red, green, blue) => (255 << 24) | (blue << 16) | (green << 8) | red;
  const steps = Array.from({ length: facts.steps + 1 }, (_, step) => step);
  const spreadColours = Uint32Array.from(steps, (step) => opaque(...facts.palette[Math.round((255 * step) / facts.steps)]));
  const greyColours = (low, high) => Uint32Array.from(steps, (step) => {
    const value = facts.grey[0] + (step / facts.steps) * (facts.grey[1] - facts.grey[0]);
    const grey = Math.round(255 * Math.min(Math.max((value - low) / (high - low), 0), 1));
    return opaque(grey, grey, grey);
  });

  const times = (matrix, vector) => matrix.map((row) => row.reduce((sum, value, i) => sum + value * vector[i], 0));
  const worldOf = (place) => times(facts.axes, place).map((value, axis) => value + facts.origin[axis]);
  const placeOf = (world) => times(facts.inverse, world.map((value, axis) => value - facts.origin[axis]));

  return { ...facts, ready, voxelAt, valueAt, drawPlane, spreadColours, greyColours, worldOf, placeOf };
})();
