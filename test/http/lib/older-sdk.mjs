// The SDK before 1.0 drops keys that it does not know, such as invitation_token. Its response hook sees them.
export const connectBy = ({ Polar, HTTPClient }) => {
  // docs:begin
  // Returns the SDK, and a map from the id of a seat to the token of its latest invitation.
  const connect = (serverURL, accessToken) => {
    const invitations = new Map();
    const httpClient = new HTTPClient();
    httpClient.addHook('response', async (response) => {
      if (!response.ok) return;
      const { id, invitation_token: token } = await response.clone().json();
      if (token) invitations.set(id, token);
    });
    return { polar: new Polar({ serverURL, accessToken, httpClient }), invitations };
  };
  // docs:end
  return connect;
};
