// TanStack AI's video activities, over OpenAI's API and over Google's.
import { generateVideo, getVideoJobStatus } from "@tanstack/ai";
import { createGeminiVideo } from "@tanstack/ai-gemini";
import { createOpenaiVideo } from "@tanstack/ai-openai";

const adapter = ({ url, key, api, model }) =>
  api === "openai"
    ? createOpenaiVideo(model, key, { baseURL: `${url}/v1`, maxRetries: 0 })
    : createGeminiVideo(model, key, { httpOptions: { baseUrl: url } });

export const start = async ({ prompt, size, duration, ...given }) =>
  generateVideo({ adapter: adapter(given), prompt, size, duration });

export const status = async ({ job_id, ...given }) => getVideoJobStatus({ adapter: adapter(given), jobId: job_id });
