// Vercel's client of xAI's REST API: @ai-sdk/xai.
import { createXai } from "@ai-sdk/xai";

const model = (url, id) => createXai({ baseURL: `${url}/v1`, apiKey: "fake" }).video(id);

const bytes = (image) => ({ type: "file", mediaType: "image/png", data: new Uint8Array(Buffer.from(image, "base64")) });

const asked = ({ prompt, image, provider_options, ...rest }) => ({
  prompt,
  n: 1,
  image: image === undefined ? undefined : bytes(image),
  aspectRatio: rest.aspect_ratio,
  resolution: rest.resolution,
  duration: rest.duration,
  fps: undefined,
  seed: undefined,
  providerOptions: { xai: provider_options ?? {} },
});

export const submit = async ({ url, id, ...options }) => (await model(url, id).doStart(asked(options))).operation;

export const status = async ({ url, id, operation }) => {
  const found = await model(url, id).doStatus({ operation });
  return { status: found.status, url: found.videos?.[0]?.url, error: found.error?.message ?? found.error };
};
