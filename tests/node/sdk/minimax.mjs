// Vercel's client of MiniMax's V2 API: @ai-sdk/minimax.
import { createMiniMax } from "@ai-sdk/minimax";

const model = (url, id) => createMiniMax({ apiKey: "fake", videoBaseURL: `${url}` }).video(id);

export const submit = async ({ url, id, prompt, ...rest }) =>
  (
    await model(url, id).doStart({
      prompt,
      n: 1,
      image: undefined,
      aspectRatio: rest.aspect_ratio,
      resolution: rest.resolution,
      duration: rest.duration,
      fps: undefined,
      seed: undefined,
      providerOptions: { minimax: rest.provider_options ?? {} },
    })
  ).operation;

export const status = async ({ url, id, operation }) => {
  const found = await model(url, id).doStatus({ operation });
  return { status: found.status, url: found.videos?.[0]?.url, error: found.error?.message ?? found.error };
};
