// Vercel's client of the Gemini API: @ai-sdk/google.
import { createGoogleGenerativeAI } from "@ai-sdk/google";

const model = ({ url, key, id }) => createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: key }).video(id);

const bytes = (image) => ({ type: "file", mediaType: "image/png", data: new Uint8Array(Buffer.from(image, "base64")) });

const asked = ({ prompt, image, n = 1, provider_options, ...rest }) => ({
  prompt,
  n,
  image: image === undefined ? undefined : bytes(image),
  aspectRatio: rest.aspect_ratio,
  resolution: rest.resolution,
  duration: rest.duration,
  seed: rest.seed,
  providerOptions: { google: provider_options ?? {} },
});

export const start = async (given) => (await model(given).doStart(asked(given))).operation;

export const status = async (given) => {
  const found = await model(given).doStatus({ operation: given.operation });
  return { status: found.status, urls: (found.videos ?? []).map((video) => video.url), error: found.error };
};

export const download = async ({ url }) => {
  const answer = await fetch(url);
  return { status: answer.status, content: new Uint8Array(await answer.arrayBuffer()) };
};
