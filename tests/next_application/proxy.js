import { NextResponse } from "next/server";

// As products with sign-in have it. Where it applies, docs/placing.md says.
export function proxy(request) {
  const isSignIn = request.nextUrl.pathname === "/sign-in";
  return isSignIn ? NextResponse.next() : NextResponse.redirect(new URL("/sign-in", request.url));
}

