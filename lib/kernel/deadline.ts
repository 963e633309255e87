/**
 * What a promise answers, or an error of ours if that takes too long. What was asked for goes on by
 * itself and is not heard any more.
 */
export async function withDeadline<T>(
  asked: Promise<T>,
  milliseconds: number,
  late: () => Error,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds);
    timer.unref();
  });
  try {
    return await Promise.race([asked, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
