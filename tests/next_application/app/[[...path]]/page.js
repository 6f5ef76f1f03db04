import { notFound } from "next/navigation";

// At every path that is not rewritten.
export default async function Page({ params }) {
  const { path } = await params;
  if (path?.[0] === ".well-known") notFound();
  return <h1>Another product</h1>;
}
