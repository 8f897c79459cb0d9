// OpenRouter's clients in JavaScript: @openrouter/sdk, and @openrouter/ai-sdk-provider under Vercel's AI SDK.
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { OpenRouter } from "@openrouter/sdk";
import { experimental_generateVideo as generateVideo } from "ai";

const client = ({ url, key }) => new OpenRouter({ apiKey: key, serverURL: `${url}/api/v1`, retryConfig: { strategy: "none" } });

const whole = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());

export const generate = async ({ url, key, ...videoGenerationRequest }) =>
  client({ url, key }).videoGeneration.generate({ videoGenerationRequest });

export const get = async ({ url, key, job_id }) => client({ url, key }).videoGeneration.getGeneration({ jobId: job_id });

export const content = async ({ url, key, job_id }) =>
  whole(await client({ url, key }).videoGeneration.getVideoContent({ jobId: job_id }));

export const models = async ({ url, key }) => client({ url, key }).videoGeneration.listVideosModels();

// The AI SDK's own download fetches no address of this machine. It sends no key either, and neither does this one.
const download = async ({ url }) => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the video's address answered ${answer.status}`);
  return { data: new Uint8Array(await answer.arrayBuffer()), mediaType: answer.headers.get("content-type") };
};

export const film = async ({ url, key, model, settings = {}, image, text, ...options }) => {
  const provider = createOpenRouter({ apiKey: key, baseURL: `${url}/api/v1` });
  const made = await generateVideo({
    model: provider.videoModel(model, { pollIntervalMs: 50, ...settings }),
    prompt: image === undefined ? text : { text, image: new Uint8Array(Buffer.from(image, "base64")) },
    maxRetries: 0,
    download,
    ...options,
  });
  return {
    content: made.video.uint8Array,
    type: made.video.mediaType,
    metadata: made.providerMetadata,
    warnings: made.warnings,
  };
};
